package trust

import (
	"errors"
	"slices"

	"fleet/internal/engine"
	"fleet/inventory"
	"fleet/sshpool/hostkeys"
)

// Forgotten is what was taken out of known_hosts, or would be.
type Forgotten struct {
	Lines []ForgottenLine
	Files []string // that were written
	// Still are lines that mean some of the hosts and were left: in other files
	// than the first, or with a marker.
	Still []Still
	// Pinned are hosts whose keys stand in the inventory.
	Pinned []string
}

// ForgottenLine is one line and the hosts of the inventory that it was for.
type ForgottenLine struct {
	hostkeys.Removed
	Hosts []string
}

// Still is a line that was left.
type Still struct {
	hostkeys.Entry
	Hosts []string
}

// Forget takes hosts out of the known_hosts files that new keys go to. With dry
// it only says what it would do. What was done before an error stays done.
func Forget(reach *engine.Targets, hosts []*inventory.Host, dry bool) (*Forgotten, error) {
	f := &forgetting{names: make(map[string]map[string][]string)}
	for _, h := range hosts {
		t, err := reach.Target(h.Name)
		if err != nil {
			return nil, err
		}
		policy, ok := t.HostKeys.(*hostkeys.Policy)
		if !ok {
			f.out.Pinned = append(f.out.Pinned, h.Name)
			continue
		}
		f.add(policy, t.HostKeyAddr(), h.Name)
	}
	var errs []error
	for _, file := range f.files {
		lines, err := hostkeys.Remove(file, f.addrs[file], dry)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, l := range lines {
			one := ForgottenLine{Removed: l}
			for _, addr := range l.Addrs {
				one.Hosts = append(one.Hosts, f.names[file][addr]...)
			}
			f.out.Lines = append(f.out.Lines, one)
		}
		if len(lines) > 0 && !dry {
			f.out.Files = append(f.out.Files, file)
		}
	}
	return &f.out, errors.Join(errs...)
}

type forgetting struct {
	out   Forgotten
	files []string
	addrs map[string][]string            // of each file
	names map[string]map[string][]string // of each file, by address: hosts of the inventory
}

// add takes in one host.
func (f *forgetting) add(policy *hostkeys.Policy, addr, host string) {
	if f.addrs == nil {
		f.addrs = make(map[string][]string)
	}
	file := policy.File
	if file != "" {
		if f.names[file] == nil {
			f.names[file] = make(map[string][]string)
			f.files = append(f.files, file)
		}
		if len(f.names[file][addr]) == 0 {
			f.addrs[file] = append(f.addrs[file], addr)
		}
		f.names[file][addr] = append(f.names[file][addr], host)
	}
	for _, e := range policy.Index.Lookup(addr) {
		if e.File != file || e.Marker != hostkeys.NoMarker {
			f.still(e, host)
		}
	}
}

func (f *forgetting) still(e hostkeys.Entry, host string) {
	n := slices.IndexFunc(f.out.Still, func(s Still) bool { return s.Place() == e.Place() })
	if n < 0 {
		n = len(f.out.Still)
		f.out.Still = append(f.out.Still, Still{Entry: e})
	}
	f.out.Still[n].Hosts = append(f.out.Still[n].Hosts, host)
}
