package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fleet/internal/event"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// spreadHosts are real servers, each with a home of its own, on one machine.
type spreadHosts struct {
	t     *testing.T
	dir   string // of what is sent
	file  string
	data  []byte
	hosts []*spreadHost
	sent  atomic.Int64 // bytes that this side wrote to all of them
}

type spreadHost struct {
	*sshtest.Server
	name   string
	target sshpool.Target
	keys   []byte // authorized_keys before
	// address is where others are told to reach it, if that is not where it is.
	address string
	dst     string // folder
	did     *event.Transfer
	told    bytes.Buffer
	err     error
}

// countedConn counts what is written to it.
type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

const spreadSize = 4<<20 + 12345

// newSpreadHosts starts a server for each list of options.
func newSpreadHosts(t *testing.T, opts ...[]sshtest.Option) *spreadHosts {
	t.Helper()
	s := &spreadHosts{t: t, dir: t.TempDir(), data: make([]byte, spreadSize)}
	rand.Read(s.data)
	s.file = filepath.Join(s.dir, "big.iso")
	if err := os.WriteFile(s.file, s.data, 0o640); err != nil {
		t.Fatal(err)
	}
	for i, o := range opts {
		h := &spreadHost{name: fmt.Sprintf("web%02d", i+1), dst: t.TempDir()}
		address := fmt.Sprintf("127.0.1.%d", i+1)
		h.Server = sshtest.OpenSSH(t, append(o, sshtest.Listen(address), sshtest.HomeKeys())...)
		known, err := hostkeys.Load(h.KnownHosts)
		if err != nil {
			t.Fatal(err)
		}
		auth := &sshpool.Auth{Keys: []string{h.KeyFile}}
		t.Cleanup(func() { auth.Close() })
		h.target = sshpool.Target{Address: address, Port: h.Port, User: h.User, Auth: auth, HostKeys: &hostkeys.Policy{Index: known},
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, addr)
				return &countedConn{c, &s.sent}, err
			}}
		h.keys = h.authorizedKeys(t)
		s.hosts = append(s.hosts, h)
	}
	return s
}

func (h *spreadHost) authorizedKeys(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.Dir, ".ssh/authorized_keys"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// push pushes the file to all hosts at once; where between is given, to the first
// alone, and to the others after it.
func (s *spreadHosts) push(ctx context.Context, p *Push, between func()) {
	s.t.Helper()
	p.Sources, p.Links, p.MaxDelete, p.Warn = []string{s.file}, KeepLinks, 1000, func(text string) { s.t.Log(text) }
	p.Dst = "{{.Vars.dst}}/"
	var list []*inventory.Host
	for _, h := range s.hosts {
		list = append(list, &inventory.Host{Name: h.name, Vars: map[string]any{"dst": h.dst}})
	}
	if err := p.Prepare(ctx, list); err != nil {
		s.t.Fatal(err)
	}
	defer p.Close()
	pool := sshpool.NewPool(sshpool.PoolConfig{})
	defer pool.Close()
	one := func(h *spreadHost) {
		conn, release, err := pool.Get(ctx, h.target)
		if err != nil {
			h.err = err
			return
		}
		defer release()
		address := net.JoinHostPort(h.target.Address, strconv.Itoa(h.target.Port))
		h.did, h.err = p.Do(ctx, conn, h.name, Show{Out: &h.told, Err: &h.told, Address: firstOf(h.address, address),
			Hold: func(ctx context.Context) (*sshpool.Conn, func(), error) { return pool.Get(ctx, h.target) }})
	}
	hosts := s.hosts
	if between != nil {
		one(hosts[0])
		between()
		hosts = hosts[1:]
	}
	var all sync.WaitGroup
	for _, h := range hosts {
		all.Go(func() { one(h) })
	}
	all.Wait()
}

// settled fails the test where a host has not the file, or has anything else that
// was not there before.
func (s *spreadHosts) settled() {
	s.t.Helper()
	for _, h := range s.hosts {
		if h.err != nil {
			s.t.Errorf("%s: %v", h.name, h.err)
			continue
		}
		if got, err := os.ReadFile(filepath.Join(h.dst, "big.iso")); err != nil || !bytes.Equal(got, s.data) {
			s.t.Errorf("%s has another file: %d bytes, %v", h.name, len(got), err)
		}
		if fi, err := os.Stat(filepath.Join(h.dst, "big.iso")); err != nil || fi.Mode() != 0o640 {
			s.t.Errorf("%s: mode %v, %v", h.name, fi.Mode(), err)
		}
		s.clean(h, 1)
	}
}

// clean fails the test where a host has more than so many files in its folder, or
// another authorized_keys than before.
func (s *spreadHosts) clean(h *spreadHost, files int) {
	s.t.Helper()
	if list, _ := os.ReadDir(h.dst); len(list) > files {
		s.t.Errorf("%s: left in its folder: %v", h.name, list)
	}
	if now := h.authorizedKeys(s.t); !bytes.Equal(now, h.keys) {
		s.t.Errorf("%s: authorized_keys is another:\n%s", h.name, now)
	}
	if list, _ := os.ReadDir(filepath.Join(h.Dir, ".ssh")); len(list) != 1 {
		s.t.Errorf("%s: left in ~/.ssh: %v", h.name, list)
	}
}

func (s *spreadHosts) log() {
	for _, h := range s.hosts {
		if h.did != nil {
			s.t.Logf("%s: seed %v, from %q, direct %q, %v %s", h.name, h.did.Seed, h.did.From, h.did.Direct, h.err, &h.told)
		}
	}
}

func some(n int) [][]sshtest.Option { return make([][]sshtest.Option, n) }

// TestSpread has one host get the file from here and the others from hosts that
// have it: what this side sends is one copy.
func TestSpread(t *testing.T) {
	for _, by := range []SpreadWay{SpreadKey, SpreadAgent, SpreadRelay} {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			s := newSpreadHosts(t, some(5)...)
			s.push(testContext(t), &Push{Spread: &Spread{Seeds: 1, Fanout: 2, By: by}}, nil)
			s.log()
			s.settled()
			seeds, from := 0, map[string]int{}
			for _, h := range s.hosts {
				if h.did.Seed {
					seeds++
				}
				if h.did.From != "" {
					from[h.did.From]++
				}
				if h.did.Direct != "" {
					t.Errorf("%s: direct: %s", h.name, h.did.Direct)
				}
			}
			if seeds != 1 || len(from) == 0 {
				t.Errorf("%d seeds, from %v", seeds, from)
			}
			copies := float64(s.sent.Load()) / spreadSize
			if by != SpreadRelay && copies > 1.2 || by == SpreadRelay && copies < 5 {
				t.Errorf("this side sent %.2f copies", copies)
			}
		})
	}
}

// TestSpreadSharedHome has hosts whose user has one home, as on NFS: many change
// one authorized_keys at once.
func TestSpreadSharedHome(t *testing.T) {
	t.Parallel()
	s := newSpreadHosts(t, nil)
	one := s.hosts[0]
	one.Stop()
	shared := sshtest.OpenSSH(t, sshtest.Listen("127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5"), sshtest.HomeKeys())
	known, err := hostkeys.Load(shared.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	auth := &sshpool.Auth{Keys: []string{shared.KeyFile}}
	t.Cleanup(func() { auth.Close() })
	s.hosts = nil
	for i, a := range shared.Addresses {
		h := &spreadHost{Server: shared, name: fmt.Sprintf("web%02d", i+1), dst: t.TempDir()}
		h.target = sshpool.Target{Address: a, Port: shared.Port, User: shared.User, Auth: auth, HostKeys: &hostkeys.Policy{Index: known}}
		// With options of its own, and a key of somebody else, and no newline at the end.
		h.keys = h.authorizedKeys(t)
		s.hosts = append(s.hosts, h)
	}
	text := append([]byte("# mine\n\n"), s.hosts[0].keys...)
	text = append(text, `no-pty,command="echo \"it's\"" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl a fleet-spread-other`...)
	file := filepath.Join(shared.Dir, ".ssh/authorized_keys")
	if err := errors.Join(os.WriteFile(file, text, 0o640), os.Chmod(file, 0o640)); err != nil {
		t.Fatal(err)
	}
	for _, h := range s.hosts {
		h.keys = text
	}
	s.push(testContext(t), &Push{Spread: &Spread{Seeds: 1, Fanout: 4, By: SpreadKey}}, func() {})
	s.log()
	s.settled()
	for _, h := range s.hosts[1:] {
		if h.err == nil && h.did.From == "" {
			t.Errorf("%s: direct %q", h.name, h.did.Direct)
		}
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode() != 0o640 {
		t.Errorf("authorized_keys: %v, %v", fi.Mode(), err)
	}
}

// TestSpreadNoKeys serves a host whose user has no ~/.ssh: it has none afterwards.
func TestSpreadNoKeys(t *testing.T) {
	t.Parallel()
	s := newSpreadHosts(t, nil, []sshtest.Option{sshtest.Password("geheim")})
	h := s.hosts[1]
	h.target.Auth = &sshpool.Auth{Password: func(context.Context) (string, error) { return "geheim", nil }}
	if err := os.RemoveAll(filepath.Join(h.Dir, ".ssh")); err != nil {
		t.Fatal(err)
	}
	s.push(testContext(t), &Push{Spread: &Spread{Seeds: 1, Fanout: 1, By: SpreadKey}}, func() {})
	s.log()
	if h.err != nil || h.did.From != "web01" {
		t.Errorf("from %q, direct %q, %v", h.did.From, h.did.Direct, h.err)
	}
	if _, err := os.Lstat(filepath.Join(h.Dir, ".ssh")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a ~/.ssh: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(h.dst, "big.iso")); err != nil || !bytes.Equal(got, s.data) {
		t.Errorf("another file: %d bytes, %v", len(got), err)
	}
	// A password cannot be lent.
	s.push(testContext(t), &Push{Checksum: true, Backup: true, Spread: &Spread{Seeds: 1, Fanout: 1, By: SpreadAgent}}, func() {
		if err := os.Remove(filepath.Join(h.dst, "big.iso")); err != nil {
			t.Fatal(err)
		}
	})
	if h.err != nil || h.did.Direct != "its login is not by a key that could be lent" {
		t.Errorf("from %q, direct %q, %v", h.did.From, h.did.Direct, h.err)
	}
}

// TestSpreadTree spreads the large files of a tree and keeps what is replaced.
func TestSpreadTree(t *testing.T) {
	t.Parallel()
	s := newSpreadHosts(t, nil, nil)
	tree := filepath.Join(s.dir, "tree")
	write(t, tree, map[string]string{"a/small": "text", "b": "dir"})
	f, err := os.Create(filepath.Join(tree, "b/big one's.iso"))
	if err != nil {
		t.Fatal(err)
	}
	part := bytes.Repeat(s.data[:1<<20], 1)
	for range largeSize>>20 + 1 {
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	age(t, tree)
	s.file = tree
	s.push(testContext(t), &Push{Spread: &Spread{Seeds: 1, Fanout: 1, By: SpreadKey}}, func() {})
	s.log()
	for _, h := range s.hosts {
		if h.err != nil {
			t.Fatal(h.err)
		}
		if diff := cmp.Diff(listing(t, s.dir+"/tree"), listing(t, h.dst+"/tree")); diff != "" {
			t.Errorf("%s: the tree differs:\n%s", h.name, diff)
		}
		s.clean(h, 1)
	}
	if h := s.hosts[1]; h.did.From != "web01" || h.did.Sent != 2 {
		t.Errorf("from %q, direct %q, sent %d", h.did.From, h.did.Direct, h.did.Sent)
	}
	if copies := float64(s.sent.Load()) / float64(largeSize); copies > 1.3 {
		t.Errorf("this side sent %.2f copies", copies)
	}
}

// program makes a folder with a program of that name, which comes before all
// others on a host.
func program(t *testing.T, name, text string) []sshtest.Option {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return []sshtest.Option{sshtest.Env("PATH=" + dir + ":/usr/bin:/bin")}
}

// without is a host that has no such program.
func without(t *testing.T, name string) []sshtest.Option {
	t.Helper()
	dir := t.TempDir()
	list, err := os.ReadDir("/usr/bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Name() != name {
			if err := os.Symlink(filepath.Join("/usr/bin", e.Name()), filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []sshtest.Option{sshtest.Env("PATH=" + dir)}
}

// directCase is something between two hosts that does not work.
type directCase struct {
	name string
	by   SpreadWay // empty: key
	opts [2][]sshtest.Option
	do   func(t *testing.T, s *spreadHosts) // once the first has the file
	why  string
}

func directCases(t *testing.T) []directCase {
	elsewhere := filepath.Join(t.TempDir(), "keys")
	return []directCase{
		{name: "no ssh", opts: [2][]sshtest.Option{without(t, "ssh")}, why: "web01 has no ssh client"},
		{name: "another ssh", opts: [2][]sshtest.Option{program(t, "ssh", "echo Dropbear v2022.83")}, why: "ssh on web01 is not OpenSSH's: Dropbear v2022.83"},
		{name: "no forwarding", opts: [2][]sshtest.Option{{sshtest.Config("AllowAgentForwarding no")}},
			why: "web01 cannot serve others: agent forwarding refused by the host"},
		{name: "old ssh", by: SpreadAgent, opts: [2][]sshtest.Option{program(t, "ssh", oldSSH)},
			why: "ssh on web01: it does not prove to the agent which host it is connected to (ssh of OpenSSH 8.9 does)"},
		{name: "keys elsewhere", opts: [2][]sshtest.Option{nil, {sshtest.Config("AuthorizedKeysFile " + elsewhere)}},
			do: func(t *testing.T, s *spreadHosts) {
				h := s.hosts[1]
				if err := os.WriteFile(elsewhere, h.keys, 0o600); err != nil {
					t.Fatal(err)
				}
				h.keys = []byte("# no key, and no newline")
				if err := os.WriteFile(filepath.Join(h.Dir, ".ssh/authorized_keys"), h.keys, 0o600); err != nil {
					t.Fatal(err)
				}
			}, why: "its sshd does not take a temporary key"},
		{name: "no expiry", opts: [2][]sshtest.Option{nil, program(t, "date", "[ $# = 1 ] && exec /bin/date \"$1\"; exit 1")},
			why: "its date(1) can tell no time to come, when a temporary key would expire"},
		{name: "a link", do: func(t *testing.T, s *spreadHosts) {
			file := filepath.Join(s.hosts[1].Dir, ".ssh/authorized_keys")
			if err := os.Rename(file, s.hosts[1].Dir+"/keys"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(s.hosts[1].Dir+"/keys", file); err != nil {
				t.Fatal(err)
			}
		}, why: "its authorized_keys is not the login user's own file"},
		{name: "no way", do: func(t *testing.T, s *spreadHosts) { s.hosts[1].address = "127.0.1.2:1" }, why: "web01 cannot reach it: connection refused"},
		{name: "another host there", do: func(t *testing.T, s *spreadHosts) { s.hosts[1].address = s.hosts[0].Addr }, why: "web01 is shown another host key there"},
		{name: "another content", do: func(t *testing.T, s *spreadHosts) {
			if err := os.WriteFile(filepath.Join(s.hosts[0].dst, "big.iso"), make([]byte, spreadSize), 0o640); err != nil {
				t.Fatal(err)
			}
		}, why: "what came from web01 was not what was sent there"},
		{name: "cut off", do: func(t *testing.T, s *spreadHosts) {
			if err := os.Truncate(filepath.Join(s.hosts[0].dst, "big.iso"), 1000); err != nil {
				t.Fatal(err)
			}
		}, why: "what came from web01 was not what was sent there"},
		{name: "gone", do: func(t *testing.T, s *spreadHosts) {
			if err := os.Remove(filepath.Join(s.hosts[0].dst, "big.iso")); err != nil {
				t.Fatal(err)
			}
		}, why: "its login user cannot read the file on web01"},
		{name: "gone, by relay", by: SpreadRelay, do: func(t *testing.T, s *spreadHosts) {
			if err := os.Remove(filepath.Join(s.hosts[0].dst, "big.iso")); err != nil {
				t.Fatal(err)
			}
		}, why: "web01 cannot serve others: "},
	}
}

// TestSpreadDirect has what cannot go from host to host go from here, and says
// why.
func TestSpreadDirect(t *testing.T) {
	for _, c := range directCases(t) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSpreadHosts(t, c.opts[:]...)
			by := SpreadKey
			if c.by != "" {
				by = c.by
			}
			s.push(testContext(t), &Push{Spread: &Spread{Seeds: 1, Fanout: 2, By: by}}, func() {
				if c.do != nil {
					c.do(t, s)
				}
			})
			s.log()
			if h := s.hosts[0]; h.err != nil || !h.did.Seed {
				t.Fatalf("seed: %+v, %v", h.did, h.err)
			}
			s.hosts = s.hosts[1:]
			s.settled()
			if h := s.hosts[0]; h.err == nil && (h.did.From != "" || !strings.HasPrefix(h.did.Direct, c.why)) {
				t.Errorf("from %q, direct %q, want %q", h.did.From, h.did.Direct, c.why)
			}
		})
	}
}

// oldSSH talks to its agent as ssh before OpenSSH 8.9 does, which proves nothing.
const oldSSH = `[ "$1" = -V ] && { echo "OpenSSH_8.4p1" >&2; exit 0; }
case $(ssh-add -l) in *ED25519*) exit 0 ;; esac
echo "root@127.0.1.2: Permission denied (publickey)." >&2
exit 255
`
