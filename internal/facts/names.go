package facts

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"fleet/inventory"
)

// name is a fact as patterns ask for it.
type name struct {
	name, text string
	value      func(f *Facts, arg string, now time.Time) any
}

// names are all facts that patterns can ask for. A value that is not known is nil.
var names = []name{
	{"os", "ID of the system: debian, rocky, alpine", func(f *Facts, _ string, _ time.Time) any { return text(f.OS) }},
	{"os_version", "its version: 12, 9.4", func(f *Facts, _ string, _ time.Time) any { return text(f.OSVersion) }},
	{"os_name", "its full name", func(f *Facts, _ string, _ time.Time) any { return text(f.OSName) }},
	{"os_like", "IDs of systems that it is like, and its own", osLike},
	{"system", "uname -s: Linux", func(f *Facts, _ string, _ time.Time) any { return text(f.System) }},
	{"kernel", "uname -r: 6.1.0-31-amd64", func(f *Facts, _ string, _ time.Time) any { return text(f.Kernel) }},
	{"arch", "x86_64 (also amd64), aarch64 (also arm64)", arch},
	{"hostname", "what the host calls itself", func(f *Facts, _ string, _ time.Time) any { return text(f.Hostname) }},
	{"cpus", "processors", func(f *Facts, _ string, _ time.Time) any { return positive(int64(f.CPUs)) }},
	{"cpu_model", "name of the processor", func(f *Facts, _ string, _ time.Time) any { return text(f.CPUModel) }},
	{"mem", "memory, a size", func(f *Facts, _ string, _ time.Time) any { return memory(f, func(m *Memory) int64 { return m.Total }) }},
	{"mem_free", "memory for new programs, a size", func(f *Facts, _ string, _ time.Time) any {
		return memory(f, func(m *Memory) int64 { return m.Available })
	}},
	{"swap", "a size", func(f *Facts, _ string, _ time.Time) any { return memory(f, func(m *Memory) int64 { return m.Swap }) }},
	{"disk", "size of the file system at /, or disk:/var", func(f *Facts, arg string, _ time.Time) any {
		return f.mounted(arg, func(s Filesystem) any { return inventory.Size(s.Size) })
	}},
	{"disk_free", "free space at /, or disk_free:/var", func(f *Facts, arg string, _ time.Time) any {
		return f.mounted(arg, func(s Filesystem) any { return inventory.Size(s.Free) })
	}},
	{"disk_used", "percent used at /, or disk_used:/var", func(f *Facts, arg string, _ time.Time) any { return f.mounted(arg, used) }},
	{"ip", "addresses; a network too: ip=10.0.0.0/8", addresses},
	{"virt", "none, kvm, vmware, docker, lxc, ...", func(f *Facts, _ string, _ time.Time) any { return text(f.Virt) }},
	{"packages", "apt, dnf, yum, zypper, apk, pacman, pkg", func(f *Facts, _ string, _ time.Time) any { return text(f.Packages) }},
	{"services", "systemd, openrc, runit, sysvinit, launchd", func(f *Facts, _ string, _ time.Time) any { return text(f.Services) }},
	{"uptime", "since the last boot, a time: 30d", uptime},
}

// Names lists the facts that patterns can ask for, and what they are.
func Names() (list []string, texts map[string]string) {
	texts = make(map[string]string, len(names))
	for _, n := range names {
		list = append(list, n.name)
		texts[n.name] = n.text
	}
	return list, texts
}

// kindOf is a value such as the named fact has: nil for a text, a list and a number.
func kindOf(name string) any {
	switch stem, _, _ := strings.Cut(name, ":"); stem {
	case "mem", "mem_free", "swap", "disk", "disk_free":
		return inventory.Size(0)
	case "uptime":
		return time.Duration(0)
	}
	return nil
}

// Value gives a fact by its name in patterns; false where there is none of that
// name, nil where it is not known.
func (f *Facts) Value(asked string, now time.Time) (any, bool) {
	stem, arg, _ := strings.Cut(asked, ":")
	for i := range names {
		if names[i].name == stem {
			return names[i].value(f, arg, now), true
		}
	}
	return nil, false
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func positive(n int64) any {
	if n <= 0 {
		return nil
	}
	return n
}

func memory(f *Facts, part func(*Memory) int64) any {
	if f.Memory == nil || part(f.Memory) < 0 {
		return nil
	}
	return inventory.Size(part(f.Memory))
}

func osLike(f *Facts, _ string, _ time.Time) any {
	if f.OS == "" {
		return nil
	}
	list := []any{f.OS}
	for _, id := range f.OSLike {
		list = append(list, id)
	}
	return list
}

// arches are the names that makers of packages and kernels give the same thing.
var arches = [][]string{{"x86_64", "amd64"}, {"aarch64", "arm64"}, {"i386", "i486", "i586", "i686"}, {"armv7l", "armhf"}, {"ppc64le", "ppc64el"}}

func arch(f *Facts, _ string, _ time.Time) any {
	if f.Arch == "" {
		return nil
	}
	list := []any{f.Arch}
	for _, same := range arches {
		if !slices.Contains(same, f.Arch) {
			continue
		}
		for _, other := range same {
			if other != f.Arch {
				list = append(list, other)
			}
		}
	}
	return list
}

// mounted asks of is for the file system that a path is on; / without one.
func (f *Facts) mounted(path string, of func(Filesystem) any) any {
	if path == "" {
		path = "/"
	}
	best := -1
	for i, s := range f.Filesystems {
		in := path == s.Mount || s.Mount == "/" || strings.HasPrefix(path, s.Mount+"/")
		if in && (best < 0 || len(s.Mount) > len(f.Filesystems[best].Mount)) {
			best = i
		}
	}
	if best < 0 || !strings.HasPrefix(path, "/") {
		return nil
	}
	return of(f.Filesystems[best])
}

func used(s Filesystem) any {
	if s.Size <= 0 {
		return nil
	}
	return 100 * float64(s.Size-s.Free) / float64(s.Size)
}

func addresses(f *Facts, _ string, _ time.Time) any {
	if f.Addresses == nil {
		return nil
	}
	list := []any{}
	for _, a := range f.Addresses {
		if addr, err := netip.ParseAddr(a.Address); err == nil {
			list = append(list, addr.String())
		}
	}
	return list
}

// uptime counts on from when it was found out.
func uptime(f *Facts, _ string, now time.Time) any {
	if f.Uptime == nil {
		return nil
	}
	return time.Duration(*f.Uptime)*time.Second + max(0, now.Sub(f.At))
}
