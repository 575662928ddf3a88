package trust

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool/hostkeys"
)

// Vouched is a list of keys that somebody vouches for, as lines of a file:
//
//	SHA256:...                   a fingerprint, of any host; also as ssh-keygen -l prints it
//	web01,web02 SHA256:...       a fingerprint of these hosts only
//	ssh-ed25519 AAAA...          a key, of any host
//	web01 ssh-ed25519 AAAA...    a key of these hosts only, as in known_hosts
type Vouched struct {
	prints map[string][]string // names for which a fingerprint holds; nil: any
	lines  *hostkeys.Policy
	count  int
}

// ParseVouched reads such a list; name is the file's, for errors. A line that
// makes no sense is an error: what is meant to be exact must not be guessed at.
func ParseVouched(name, text string) (*Vouched, error) {
	v := &Vouched{prints: make(map[string][]string)}
	var known strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		isKnownHosts, err := v.line(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if isKnownHosts {
			known.WriteString(line + "\n")
		}
		v.count++
	}
	if v.count == 0 {
		return nil, fmt.Errorf("%s: no key and no fingerprint in it", name)
	}
	index := hostkeys.Parse(name, known.String())
	if err := index.Problems(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	v.lines = &hostkeys.Policy{Index: index}
	return v, nil
}

// line takes one line in, or says that it is one of a known_hosts file.
func (v *Vouched) line(line string) (isKnownHosts bool, err error) {
	fields := strings.Fields(line)
	at := slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, "SHA256:") })
	switch {
	case at == 0 || at == 1 && isNumber(fields[0]):
		return false, v.print(fields[at], nil)
	case at == 1:
		return false, v.print(fields[at], strings.Split(strings.ToLower(fields[0]), ","))
	case at > 1:
		return false, errors.New("a fingerprint stands first, or behind the names of hosts")
	}
	if key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil && len(rest) == 0 && fields[0] == key.Type() {
		return false, v.print(ssh.FingerprintSHA256(key), nil)
	}
	if _, _, _, _, _, err := ssh.ParseKnownHosts([]byte(line)); err != nil {
		return false, errors.New("neither a fingerprint SHA256:..., nor a key, nor a line of known_hosts")
	}
	return true, nil
}

// print takes in a fingerprint for some names, or for any.
func (v *Vouched) print(print string, names []string) error {
	sum, err := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(print, "SHA256:"))
	if err != nil || len(sum) != 32 {
		return errors.New("not a SHA256 fingerprint")
	}
	if before, ok := v.prints[print]; ok && (before == nil || names == nil) {
		v.prints[print] = nil
		return nil
	}
	v.prints[print] = append(v.prints[print], names...)
	return nil
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// Has says whether the list vouches for a host's key.
func (v *Vouched) Has(k *Key) bool {
	byName := false
	for _, addr := range k.names() {
		err := v.lines.Check(addr, nil, k.Plain())
		var refusal *hostkeys.Error
		if errors.As(err, &refusal) && refusal.Reason == hostkeys.ReasonRevoked {
			return false
		}
		byName = byName || err == nil
	}
	names, ok := v.prints[k.Fingerprint()]
	return byName || ok && (names == nil || slices.ContainsFunc(k.names(), func(addr string) bool {
		return slices.Contains(names, strings.ToLower(addr)) || slices.Contains(names, strings.ToLower(bareName(addr)))
	}))
}

// names are the addresses under which a list may have the host: as known_hosts
// has it, and as the inventory names it.
func (k *Key) names() []string {
	_, port, err := net.SplitHostPort(k.Addr)
	if err != nil {
		return []string{k.Addr, k.Host}
	}
	return []string{k.Addr, net.JoinHostPort(k.Host, port)}
}

// bareName is the name in an address, without port and brackets.
func bareName(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

// Approval is what became of keys that were approved.
type Approval struct {
	Written []Key
	Refused []Key // with the reason, which came up since the scan
	Files   []string
}

// Approve writes new keys to the known_hosts files of their hosts. Keys of any
// other state are refused. Each file gets all of its keys at once or none; the
// error tells which.
func Approve(keys []Key) (Approval, error) {
	var done Approval
	var errs []error
	for _, batch := range byPolicy(keys) {
		policy := batch[0].policy
		list := make([]hostkeys.HostKey, len(batch))
		for i, k := range batch {
			list[i] = hostkeys.HostKey{Addr: k.Addr, Key: k.Key, Beside: k.Beside}
		}
		refusals, err := policy.Add(list)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for i, k := range batch {
			if k.Refusal = refusals[i]; k.Refusal != nil {
				k.State = Changed
				done.Refused = append(done.Refused, k)
			} else {
				done.Written = append(done.Written, k)
			}
		}
		if !slices.Contains(done.Files, policy.File) {
			done.Files = append(done.Files, policy.File)
		}
	}
	return done, errors.Join(errs...)
}

// byPolicy parts new keys by where they are to be written.
func byPolicy(keys []Key) [][]Key {
	at := make(map[*hostkeys.Policy]int)
	var batches [][]Key
	for _, k := range keys {
		if k.State != New || k.policy == nil {
			continue
		}
		n, ok := at[k.policy]
		if !ok {
			n = len(batches)
			at[k.policy] = n
			batches = append(batches, nil)
		}
		batches[n] = append(batches[n], k)
	}
	return batches
}
