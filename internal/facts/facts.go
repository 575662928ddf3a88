// Package facts finds out what hosts are: system, version, processors, memory,
// file systems, addresses. It asks by one POSIX shell script, over one channel of
// each host; nothing is written there, and nothing done with another user's rights.
//
//	facts.go    what is known of a host
//	names.go    the names by which patterns ask for it
//	script.go   what is asked of the host's shell
//	answers.go  what its answers mean
//	gather.go   many hosts, by the engine
//	store.go    the cache: facts with their age, between runs
//	lookup.go   facts for the patterns of an inventory
//	text.go     facts as people read them
package facts

import (
	"time"
)

// Facts is what was found out about one host. A part that is empty or nil is not
// known: the host does not tell. Texts are as the host sent them, cut to a
// length and made valid UTF-8; they must be made safe before a terminal shows them.
type Facts struct {
	// At is when it was found out, by this machine's clock.
	At       time.Time `json:"at"`
	Hostname string    `json:"hostname"`
	// OS is the ID of os-release(5), such as debian, rocky, alpine; macos, freebsd
	// and the like where there is none.
	OS        string   `json:"os"`
	OSVersion string   `json:"os_version"` // VERSION_ID: 12, 9.4, 3.20.1
	OSName    string   `json:"os_name"`    // PRETTY_NAME
	OSLike    []string `json:"os_like"`    // ID_LIKE
	System    string   `json:"system"`     // uname -s: Linux
	Kernel    string   `json:"kernel"`     // uname -r: 6.1.0-31-amd64
	Arch      string   `json:"arch"`       // uname -m: x86_64
	CPUs      int      `json:"cpus"`       // that are online; 0: not known
	CPUModel  string   `json:"cpu_model"`
	Memory    *Memory  `json:"memory"`
	// Disks are the host's block devices, Filesystems what is mounted of local ones.
	Disks       []Disk       `json:"disks"`
	Filesystems []Filesystem `json:"filesystems"`
	// Addresses are those of the interfaces that are up, but for loopback and
	// link-local ones.
	Addresses []Address `json:"addresses"`
	// Virt is what the host runs in: none, kvm, vmware, xen, microsoft, docker, lxc
	// and the like, as systemd-detect-virt names it; virtual where that is all that
	// is known.
	Virt     string   `json:"virt"`
	Packages string   `json:"packages"` // apt, dnf, yum, zypper, apk, pacman, pkg, ...
	Services string   `json:"services"` // systemd, openrc, runit, sysvinit, launchd, busybox
	Uptime   *Seconds `json:"uptime_s"`
	// Missing names the questions to which the host had no end of an answer within
	// the limit.
	Missing []string `json:"missing"`
}

// Seconds is a duration in whole seconds.
type Seconds int64

// Memory is in bytes.
type Memory struct {
	Total     int64 `json:"total"`
	Available int64 `json:"available"` // for new programs without swapping; -1: not known
	Swap      int64 `json:"swap"`      // its size; -1: not known
}

// Disk is a block device.
type Disk struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
}

// Filesystem is a mounted file system.
type Filesystem struct {
	Mount  string `json:"mount"`
	Device string `json:"device"`
	Size   int64  `json:"size"` // bytes
	Free   int64  `json:"free"` // bytes that users other than root may have
}

// Address is an address of an interface.
type Address struct {
	Interface string `json:"interface"`
	Address   string `json:"address"`
	Bits      int    `json:"prefix"` // length of the network's prefix; 0: not known
}
