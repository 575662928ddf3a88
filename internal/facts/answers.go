package facts

import (
	"cmp"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is kept of one host.
const (
	maxText  = 200 // bytes of one text
	maxItems = 200 // disks, file systems, addresses
)

// read makes facts of the script's output: what stands before the first mark is
// the login shell's own. It reports false where no shell has answered.
func read(out []byte, mark string, at time.Time) (*Facts, bool) {
	answers, whole := split(string(out), mark)
	if len(answers) == 0 {
		return nil, false
	}
	f := &Facts{At: at, OSLike: []string{}, Disks: []Disk{}, Filesystems: []Filesystem{}, Missing: []string{}}
	for _, q := range questions {
		if _, ok := answers[q.name]; !ok {
			f.Missing = append(f.Missing, q.name)
		}
	}
	if !whole && len(f.Missing) == 0 {
		f.Missing = append(f.Missing, questions[len(questions)-1].name)
	}
	lines := append(strings.Split(strings.TrimSpace(answers["system"]), "\n"), "", "", "", "")
	f.System, f.Kernel, f.Arch, f.Hostname = clean(lines[0]), clean(lines[1]), clean(lines[2]), clean(lines[3])
	f.readRelease(answers["release"])
	f.CPUs = int(max(0, min(number(firstLine(answers["cpus"])), 1<<20)))
	_, model, isProc := strings.Cut(firstLine(answers["model"]), ":")
	if !isProc {
		model = firstLine(answers["model"])
	}
	f.CPUModel = clean(model)
	f.readMemory(answers["memory"])
	f.readUptime(answers["uptime"])
	f.Packages = packages(answers["programs"])
	f.Services = services(answers["init"])
	f.Virt = virt(answers["virt"], answers["container"])
	if text := strings.TrimSpace(answers["addresses"]); text != "" {
		f.readAddresses(text)
	}
	f.readDisks(answers["disks"])
	f.readFilesystems(answers["df"])
	return f, true
}

// split gives the text behind each mark. An answer that the end of the output
// has cut off is left out; whole says that none was.
func split(out, mark string) (answers map[string]string, whole bool) {
	answers = make(map[string]string)
	parts := strings.Split(out, mark+" ")
	for i, part := range parts[1:] {
		name, text, ended := strings.Cut(part, "\n")
		if name == "end" {
			return answers, true
		}
		if ended && i+2 < len(parts) {
			answers[name] = text
		}
	}
	return answers, false
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// clean bounds a text and makes it valid UTF-8.
func clean(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\ufffd"))
	for len(s) > maxText {
		_, n := utf8.DecodeLastRuneInString(s[:maxText+1])
		s = s[:maxText+1-n]
	}
	return s
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// readRelease reads os-release(5), or what sw_vers of macOS says.
func (f *Facts) readRelease(release string) {
	values := make(map[string]string)
	for line := range strings.Lines(release) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			key, value, _ = strings.Cut(strings.TrimSpace(line), ":") // sw_vers
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		if _, seen := values[key]; !seen {
			values[key] = clean(value)
		}
	}
	f.OS, f.OSVersion, f.OSName = values["ID"], values["VERSION_ID"], values["PRETTY_NAME"]
	f.OSLike = append(f.OSLike, strings.Fields(values["ID_LIKE"])...)
	if values["ProductName"] != "" {
		f.OS, f.OSVersion = "macos", values["ProductVersion"]
		f.OSName = strings.TrimSpace(values["ProductName"] + " " + f.OSVersion)
	}
	if f.OS == "" && f.System != "" && f.System != "Linux" {
		f.OS = strings.ToLower(f.System)
		f.OSVersion, _, _ = strings.Cut(f.Kernel, "-")
	}
}

// readMemory reads /proc/meminfo, or one line of sysctl.
func (f *Facts) readMemory(text string) {
	m := &Memory{Total: -1, Available: -1, Swap: -1}
	free := int64(-1)
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		if words := strings.Fields(value); len(words) > 0 {
			n := number(words[0])
			if n < 0 || n > 1<<52 {
				continue
			}
			switch strings.TrimSpace(key) {
			case "MemTotal":
				m.Total = n << 10
			case "MemAvailable":
				m.Available = n << 10
			case "MemFree":
				free = n << 10
			case "SwapTotal":
				m.Swap = n << 10
			case "hw.memsize", "hw.physmem":
				m.Total = n
			}
		} else if _, value, ok := strings.Cut(line, "="); ok { // OpenBSD: hw.physmem=1
			m.Total = max(m.Total, number(strings.TrimSpace(value)))
		}
	}
	if m.Available < 0 {
		m.Available = free // before Linux 3.14
	}
	if m.Total > 0 {
		f.Memory = m
	}
}

// readUptime reads /proc/uptime, or when the kernel says that it was booted, and
// in the last line what the host's clock shows.
func (f *Facts) readUptime(text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) < 2 {
		return
	}
	now := number(strings.TrimSpace(lines[len(lines)-1]))
	first := strings.TrimSpace(lines[0])
	var up int64 = -1
	if _, rest, ok := strings.Cut(first, "sec = "); ok { // { sec = 1700000000, usec = 0 } ...
		sec, _, _ := strings.Cut(rest, ",")
		up = now - number(sec)
	} else if seconds, err := strconv.ParseFloat(strings.Fields(first + " x")[0], 64); err == nil && seconds < 1<<40 {
		if up = int64(seconds); seconds > 1e9 { // OpenBSD: seconds since 1970
			up = now - int64(seconds)
		}
	}
	if up >= 0 && up < 1<<40 {
		s := Seconds(up)
		f.Uptime = &s
	}
}

// packages judges by the tools that are there: of several the system's own.
func packages(text string) string {
	found := make(map[string]bool)
	for line := range strings.Lines(text) {
		found[path.Base(strings.TrimSpace(line))] = true
	}
	for _, p := range packagers {
		if found[p.tool] {
			return p.name
		}
	}
	return ""
}

// services judges by the name of the first process and by folders that service
// managers make (sd_booted(3) looks for the first).
func services(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	has := func(line string) bool { return slices.Contains(lines, line) }
	switch {
	case has("/run/systemd/system"):
		return "systemd"
	case has("/run/openrc"):
		return "openrc"
	case has("runit"), has("runit-init"):
		return "runit"
	case has("s6-svscan"):
		return "s6"
	case has("launchd"), has("/System/Library/LaunchDaemons"):
		return "launchd"
	case has("/etc/rc.subr"):
		return "rc"
	case has("init") && has("/etc/init.d"):
		return "sysvinit"
	case has("busybox"):
		return "busybox"
	}
	return ""
}

// vendors are words of the firmware by which hypervisors are known
// (systemd-detect-virt(1) names them so).
var vendors = []struct{ word, name string }{
	{"KVM", "kvm"}, {"QEMU", "qemu"}, {"VMware", "vmware"}, {"VirtualBox", "oracle"}, {"innotek", "oracle"}, {"Xen", "xen"}, {"Bochs", "bochs"},
	{"Amazon EC2", "amazon"}, {"Google Compute", "google"}, {"Microsoft Corporation", "microsoft"}, {"Parallels", "parallels"},
	{"BHYVE", "bhyve"}, {"DigitalOcean", "kvm"}, {"Hetzner", "kvm"}, {"OpenStack", "kvm"}, {"Apple Virtualization", "apple"}, {"xen", "xen"},
}

// virt names what the host runs in; the container, where it is one, rather than
// the machine around it.
func virt(detected, container string) string {
	first := firstLine(detected)
	if first != "" && first != "none" && strings.Trim(first, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" {
		return clean(first) // systemd-detect-virt has spoken
	}
	for _, c := range []struct{ word, name string }{
		{"/.dockerenv", "docker"}, {"/run/.containerenv", "podman"}, {"/docker", "docker"}, {"/kubepods", "container"}, {"/lxc", "lxc"}, {"libpod", "podman"},
	} {
		if strings.Contains(container, c.word) {
			return c.name
		}
	}
	for line := range strings.Lines(container) {
		if word := strings.TrimSpace(line); slices.Contains([]string{"lxc", "systemd-nspawn", "docker", "podman", "bhyve", "hyper-v", "vmware", "kvm"}, word) {
			return word
		}
	}
	if first == "none" {
		return "none"
	}
	for _, v := range vendors {
		if strings.Contains(detected, v.word) {
			return v.name
		}
	}
	if strings.Contains(container, "hypervisor") {
		return "virtual"
	}
	if strings.TrimSpace(detected) != "" || strings.TrimSpace(container) == "none" {
		return "none" // firmware that is no hypervisor's
	}
	return ""
}

// readAddresses reads `ip -o addr` (ip-address(8)) or `ifconfig -a`.
func (f *Facts) readAddresses(text string) {
	f.Addresses = []Address{}
	name := ""
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if line[0] != ' ' && line[0] != '\t' {
			name = strings.TrimSuffix(words[0], ":")
			if number(name) >= 0 && len(words) > 1 { // ip: "2: eth0    inet 10.0.0.1/24"
				name = strings.TrimSuffix(words[1], ":")
			}
		}
		i := slices.IndexFunc(words, func(w string) bool { return w == "inet" || w == "inet6" })
		if i < 0 || i+1 >= len(words) {
			continue
		}
		f.addAddress(name, strings.TrimPrefix(words[i+1], "addr:"), words[i+1:])
	}
}

func (f *Facts) addAddress(name, word string, rest []string) {
	if word == "addr:" && len(rest) > 1 { // busybox: "inet6 addr: fe80::1/64"
		word = rest[1]
	}
	text, bits, _ := strings.Cut(word, "/")
	text, _, _ = strings.Cut(text, "%")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.IsLoopback() || addr.IsLinkLocalUnicast() || len(f.Addresses) >= maxItems {
		return
	}
	a := Address{Interface: clean(name), Address: addr.String(), Bits: int(max(0, min(number(bits), 128)))}
	if i := slices.Index(rest, "prefixlen"); i >= 0 && i+1 < len(rest) {
		a.Bits = int(max(0, min(number(rest[i+1]), 128)))
	}
	f.Addresses = append(f.Addresses, a)
}

// readDisks reads lines of /sys/block/NAME/size:SECTORS, in sectors of 512 bytes,
// as all of Linux counts them, whatever the device does.
func (f *Facts) readDisks(text string) {
	for line := range strings.Lines(text) {
		file, size, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || len(f.Disks) >= maxItems {
			continue
		}
		dev, sectors := path.Base(path.Dir(file)), number(size)
		virtual := slices.ContainsFunc([]string{"loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"}, func(p string) bool { return strings.HasPrefix(dev, p) })
		if sectors > 0 && sectors < 1<<53 && !virtual {
			f.Disks = append(f.Disks, Disk{Name: clean(dev), Size: sectors * 512})
		}
	}
}

// notDisks are file systems that hold nothing of their own.
var notDisks = []string{"tmpfs", "devtmpfs", "udev", "none", "shm", "devfs", "map", "efivarfs", "proc", "sysfs", "run", "dev", "cgroup", "cgroup_root"}

// readFilesystems reads `df -Pk` (POSIX): blocks of 1,024 bytes. In containers
// the root is an overlay, and what the host lends stands beside it.
func (f *Facts) readFilesystems(text string) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 6 || len(f.Filesystems) >= maxItems {
			continue
		}
		at := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "/") && w != words[0] })
		if at < 5 {
			continue
		}
		size, free := number(words[at-4]), number(words[at-2])
		mount, dev := strings.Join(words[at:], " "), strings.Join(words[:at-4], " ")
		if size <= 0 || free < 0 || size > 1<<52 || free > 1<<52 || slices.Contains(notDisks, words[0]) && mount != "/" {
			continue
		}
		f.Filesystems = append(f.Filesystems, Filesystem{Mount: clean(mount), Device: clean(dev), Size: size << 10, Free: free << 10})
	}
	slices.SortStableFunc(f.Filesystems, func(a, b Filesystem) int { return cmp.Compare(a.Mount, b.Mount) })
}
