package facts

import (
	"fmt"
	"strings"
)

// question is one thing that is asked of a host's shell: simple commands, of
// which "||" tries the next where one fails. What may take long on a sick host
// comes last.
type question struct {
	name, command string
}

// questions only print, and leave all judgement to us. The words are those of a
// POSIX shell (dash, bash, busybox) and of tools that Linux, the BSDs and macOS
// have; what a system lacks says nothing. None has a single quote, an exclamation
// mark, a backslash or a line break, which login shells other than sh read in
// ways of their own.
var questions = []question{
	{"system", `uname -s; uname -r; uname -m; uname -n`},
	{"release", `cat /etc/os-release || cat /usr/lib/os-release || sw_vers`},
	{"cpus", `getconf _NPROCESSORS_ONLN || nproc || grep -c ^processor /proc/cpuinfo || sysctl -n hw.ncpu`},
	{"model", `grep -m 1 -e "^model name" -e "^Hardware" -e "^cpu model" /proc/cpuinfo || sysctl -n machdep.cpu.brand_string || sysctl -n hw.model`},
	{"memory", `cat /proc/meminfo || sysctl hw.memsize || sysctl hw.physmem`},
	{"uptime", `cat /proc/uptime || sysctl -n kern.boottime; date +%s`},
	{"programs", "command -v " + strings.Join(tools(), "; command -v ")},
	{"init", `cat /proc/1/comm; ls -d /run/systemd/system; ls -d /run/openrc; ls -d /etc/init.d; ls -d /System/Library/LaunchDaemons; ls -d /etc/rc.subr`},
	{"virt", `systemd-detect-virt; cat /sys/class/dmi/id/sys_vendor; cat /sys/class/dmi/id/product_name; cat /sys/hypervisor/type`},
	{"container", `ls -d /.dockerenv; ls -d /run/.containerenv; cat /run/systemd/container; cat /proc/1/cgroup; grep -m 1 -o -w hypervisor /proc/cpuinfo; sysctl -n kern.vm_guest`},
	{"addresses", `ip -o addr show || ifconfig -a`},
	{"disks", `grep "" /sys/block/*/size /dev/null`},
	{"df", `df -Pkl || df -Pk`},
}

// packagers are tools that install packages, a system's own before those that
// people add.
var packagers = []struct{ tool, name string }{
	{"apk", "apk"}, {"pacman", "pacman"}, {"zypper", "zypper"}, {"dnf", "dnf"}, {"yum", "yum"}, {"apt-get", "apt"}, {"emerge", "portage"},
	{"xbps-install", "xbps"}, {"opkg", "opkg"}, {"swupd", "swupd"}, {"pkg_add", "pkg_add"}, {"pkg", "pkg"}, {"brew", "brew"},
}

func tools() []string {
	list := make([]string, len(packagers))
	for i, p := range packagers {
		list[i] = p.tool
	}
	return list
}

// Script is the command that asks all questions, for the login shell of any
// user. Each answer comes behind a line of mark and the question's name.
func Script(mark string) string {
	quiet := strings.NewReplacer("; ", " 2>/dev/null; ", " ||", " 2>/dev/null ||")
	var b strings.Builder
	b.WriteString(`exec sh -c 'LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin; `)
	for _, q := range questions {
		fmt.Fprintf(&b, `echo "%s %s"; %s 2>/dev/null; `, mark, q.name, quiet.Replace(q.command))
	}
	fmt.Fprintf(&b, `echo "%s end"'`, mark)
	return b.String()
}
