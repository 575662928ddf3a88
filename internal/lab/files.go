package lab

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// clientKey is the one key that logs in to the fleet, and the seed of all host
// keys, so that a fleet started again over the same folder has the same keys.
type clientKey struct {
	private ed25519.PrivateKey
	signer  ssh.Signer
	wire    []byte // public key as it goes over the wire
	seed    [32]byte
}

func signerFromSeed(seed [32]byte) (ssh.Signer, error) {
	return ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
}

// loadOrMakeKey reads the client key that an earlier fleet left in dir, or
// makes one.
func loadOrMakeKey(dir string) (clientKey, error) {
	if dir != "" {
		text, err := os.ReadFile(filepath.Join(dir, "id_ed25519"))
		if err == nil {
			raw, err := ssh.ParseRawPrivateKey(text)
			if err != nil {
				return clientKey{}, fmt.Errorf("lab: client key in %s: %w", dir, err)
			}
			if p, ok := raw.(*ed25519.PrivateKey); ok {
				return newClientKey(*p)
			}
			return clientKey{}, fmt.Errorf("lab: client key in %s is not an ed25519 key", dir)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return clientKey{}, err
		}
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return clientKey{}, err
	}
	return newClientKey(private)
}

func newClientKey(private ed25519.PrivateKey) (clientKey, error) {
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return clientKey{}, err
	}
	return clientKey{
		private: private,
		signer:  signer,
		wire:    signer.PublicKey().Marshal(),
		seed:    sha256.Sum256(append([]byte("fleet lab host keys "), private.Seed()...)),
	}, nil
}

// WriteFiles writes hosts.yaml, id_ed25519 (mode 0600) and known_hosts to
// Config.Dir, over those of an earlier fleet.
func (l *Lab) WriteFiles() error {
	if l.cfg.Dir == "" {
		return errors.New("lab: no folder to write to")
	}
	block, err := ssh.MarshalPrivateKey(l.key.private, "fleet lab")
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path string
		mode os.FileMode
		text []byte
	}{
		{l.KeyFile(), 0o600, pem.EncodeToMemory(block)},
		{l.KnownHostsFile(), 0o644, l.knownHosts()},
		{l.InventoryFile(), 0o644, l.inventory()},
	} {
		if err := os.WriteFile(f.path, f.text, f.mode); err != nil {
			return err
		}
	}
	return os.Chmod(l.KeyFile(), 0o600)
}

// knownHosts lists the key of each host under its address and port.
func (l *Lab) knownHosts() []byte {
	var b bytes.Buffer
	for _, h := range l.hosts {
		if !h.behavior.unlisted {
			fmt.Fprintf(&b, "[%s]:%d %s", h.Address, l.port, ssh.MarshalAuthorizedKey(h.HostKey))
		}
	}
	return b.Bytes()
}

// inventory writes hosts.yaml: neighbours whose numbers and addresses both
// count up stand on one line as a range.
func (l *Lab) inventory() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# An embedded fleet on loopback; see `fleet lab --help`.\n")
	abs := func(p string) string {
		if a, err := filepath.Abs(p); err == nil {
			return a
		}
		return p
	}
	fmt.Fprintf(&b, "defaults:\n  user: %q\n  port: %d\n  key: %q\n  known_hosts: %q\n",
		l.User(), l.port, abs(l.KeyFile()), abs(l.KnownHostsFile()))
	fmt.Fprintf(&b, "hosts:\n")
	var groups []string
	members := make(map[string][]string)
	for rest := l.hosts; len(rest) > 0; {
		n := rangeLength(rest)
		name, addr := foldRange(rest[:n])
		fmt.Fprintf(&b, "  %s: {address: %q}\n", name, addr)
		if g := groupOf(rest[0].Name); g != "" {
			if members[g] == nil {
				groups = append(groups, g)
			}
			members[g] = append(members[g], name)
		}
		rest = rest[n:]
	}
	if len(groups) > 0 {
		fmt.Fprintf(&b, "groups:\n")
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "  %s:\n    hosts:\n", g)
		for _, m := range members[g] {
			fmt.Fprintf(&b, "      - %q\n", m)
		}
	}
	return b.Bytes()
}

// rangeLength counts how many of the first hosts one range can stand for.
func rangeLength(hosts []*Host) int {
	prefix, digits := splitName(hosts[0].Name)
	if digits == "" || len(digits) > 9 {
		return 1
	}
	n := 1
	for n < len(hosts) {
		want := fmt.Sprintf("%s%0*d", prefix, len(digits), atoi(digits)+n)
		if hosts[n].Name != want || hosts[n].addr != hosts[n-1].addr.Next() {
			break
		}
		n++
	}
	return n
}

func atoi(digits string) int {
	n := 0
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n
}

func foldRange(hosts []*Host) (name, addr string) {
	first, last := hosts[0], hosts[len(hosts)-1]
	if len(hosts) == 1 {
		return first.Name, first.Address
	}
	prefix, from := splitName(first.Name)
	_, to := splitName(last.Name)
	a, z := first.addr.As4(), last.addr.As4()
	return fmt.Sprintf("%s[%s-%s]", prefix, from, to),
		fmt.Sprintf("%d.%d.%d.[%d-%d]", a[0], a[1], a[2], a[3], z[3])
}
