package lab

import (
	"fmt"
	"strings"
	"time"
)

// facts are what a simulated host says about itself. They follow from its name
// alone, so that two runs see the same fleet. Most hosts of a group agree; a
// few do not, as in any fleet that has lived for a while.
type facts struct {
	group    string
	number   int
	release  string // of the kernel
	osID     string
	osName   string
	version  string
	cpus     int
	memory   int // MiB
	diskUsed int // percent
	up       time.Duration
	services []service
}

// service is a program that a host runs.
type service struct {
	name, versionText string
	active            bool
}

const (
	debian12    = "12"
	oldKernel   = "6.1.0-18-amd64"
	newKernel   = "6.1.0-31-amd64"
	nginxText   = "nginx version: nginx/1.22.1"
	nginxOld    = "nginx version: nginx/1.18.0"
	bootSpacing = 37 * time.Minute
)

func (h *Host) facts() facts {
	_, digits := splitName(h.Name)
	f := facts{
		group: groupOf(h.Name), release: newKernel,
		osID: "debian", osName: "Debian GNU/Linux 12 (bookworm)", version: debian12,
		cpus: 4, memory: 8192, diskUsed: 31,
	}
	if len(digits) < 10 {
		f.number = atoi(digits)
	}
	f.up = 40*24*time.Hour + time.Duration(h.index%500)*bootSpacing
	f.services = []service{{"ssh", "OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15 3 Sep 2024", true}, {"cron", "", true}}
	switch f.group {
	case "web":
		f.web()
	case "db":
		f.cpus, f.memory, f.diskUsed = 16, 65536, 58
		if f.number == 2 {
			f.diskUsed = 93
		}
		f.services = append(f.services, service{"postgresql", "psql (PostgreSQL) 15.10 (Debian 15.10-0+deb12u1)", true})
	case "cache":
		f.memory = 32768
		f.services = append(f.services, service{"redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", true})
	case "app":
		f.cpus = 8
		f.services = append(f.services, service{"app", "app 4.7.1", f.number != 3})
	}
	return f
}

// web adds nginx; one web host in twenty was forgotten at the last upgrade.
func (f *facts) web() {
	nginx := service{"nginx", nginxText, true}
	if f.number%20 == 5 {
		nginx.versionText = nginxOld
		f.release, f.osName, f.version = oldKernel, "Debian GNU/Linux 11 (bullseye)", "11"
		f.up += 300 * 24 * time.Hour
	}
	f.services = append(f.services, nginx)
}

func (f *facts) service(name string) (service, bool) {
	for _, s := range f.services {
		if s.name == strings.TrimSuffix(name, ".service") {
			return s, true
		}
	}
	return service{}, false
}

// file is the text of one of the files that a simulated host has.
func (h *Host) file(path string) (string, bool) {
	f := h.facts()
	switch path {
	case "/etc/os-release", "/usr/lib/os-release":
		return fmt.Sprintf("PRETTY_NAME=%q\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=%q\nID=%s\n", f.osName, f.version, f.osID), true
	case "/etc/hostname":
		return h.Name + "\n", true
	case "/etc/debian_version":
		return f.version + ".9\n", true
	case "/proc/loadavg":
		return fmt.Sprintf("%s 1/%d 4242\n", strings.ReplaceAll(f.load(), ",", ""), 180+f.cpus), true
	case "/proc/uptime":
		return fmt.Sprintf("%.2f %.2f\n", f.up.Seconds(), f.up.Seconds()*float64(f.cpus)), true
	case "/proc/mounts":
		return "/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw,nosuid,nodev,noexec 0 0\n", true
	case "/proc/meminfo":
		return fmt.Sprintf("MemTotal: %d kB\nMemFree: %d kB\nMemAvailable: %d kB\nSwapTotal: 0 kB\n", f.memory<<10, f.memory<<8, f.memory<<9), true
	case "/proc/cpuinfo":
		return strings.Repeat("model name\t: AMD EPYC 7502P\nflags\t: hypervisor\n", f.cpus), true
	case "/proc/1/comm":
		return "systemd\n", true
	case "/run/systemd/system":
		return "", true
	case "/sys/class/dmi/id/sys_vendor":
		return "QEMU\n", true
	case "/sys/class/dmi/id/product_name":
		return "KVM Virtual Machine\n", true
	case "/dev/null":
		return "", true
	}
	return "", false
}

func (f *facts) load() string {
	n := (f.number*7 + len(f.group)*13) % 60
	return fmt.Sprintf("0.%02d, 0.%02d, 0.%02d", n, n/2, n/3)
}

func (f *facts) uptime(now time.Time) string {
	up := f.up.Truncate(time.Minute)
	return fmt.Sprintf(" %s up %d days, %2d:%02d,  1 user,  load average: %s\n", now.Format("15:04:05"),
		up/(24*time.Hour), up/time.Hour%24, up/time.Minute%60, f.load())
}

func (f *facts) df() string {
	const size = 49 // GiB
	used := size * f.diskUsed / 100
	return fmt.Sprintf("Filesystem      Size  Used Avail Use%% Mounted on\n/dev/vda1        %dG   %dG   %dG  %d%% /\n",
		size, used, size-used, f.diskUsed)
}

// dfPosix is df -P, in blocks or inodes of which a GiB holds that many.
func (f *facts) dfPosix(perGiB int) string {
	const size = 49 // GiB
	used := size * f.diskUsed / 100
	return fmt.Sprintf("Filesystem     1024-blocks     Used Available Capacity Mounted on\n/dev/vda1 %d %d %d %d%% /\n",
		size*perGiB, used*perGiB, (size-used)*perGiB, f.diskUsed)
}

func (f *facts) free() string {
	used := f.memory * 2 / 5
	return fmt.Sprintf("%15s%12s%12s%12s%12s%12s\n", "total", "used", "free", "shared", "buff/cache", "available") +
		fmt.Sprintf("Mem:%11d%12d%12d%12d%12d%12d\n", f.memory, used, f.memory-used-512, 16, 512, f.memory-used-64) +
		fmt.Sprintf("Swap:%10d%12d%12d\n", 0, 0, 0)
}

func (f *facts) ps() string {
	var b strings.Builder
	b.WriteString("    PID TTY          TIME CMD\n      1 ?        00:00:09 systemd\n")
	for i, s := range f.services {
		fmt.Fprintf(&b, "%7d ?        00:00:%02d %s\n", 600+17*i, 3+i, s.name)
	}
	b.WriteString("   4242 ?        00:00:00 ps\n")
	return b.String()
}
