package lab

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"gopkg.in/yaml.v3"
)

// inventoryFile is the part of hosts.yaml that a lab writes.
type inventoryFile struct {
	Defaults struct {
		User       string
		Port       int
		Key        string
		KnownHosts string `yaml:"known_hosts"`
	}
	Hosts  map[string]struct{ Address string }
	Groups map[string]struct{ Hosts []string }
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	l := start(t, Config{N: 600, Dir: dir, Faults: map[string]Fault{"web001": "unknown-key", "web002": "wrong-key"}})
	if err := l.WriteFiles(); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o700, l.KeyFile(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v; want mode %o", path, info.Mode(), err, mode)
		}
	}
	text, err := os.ReadFile(l.InventoryFile())
	if err != nil {
		t.Fatal(err)
	}
	var inv inventoryFile
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&inv); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if inv.Defaults.User != "ops" || inv.Defaults.Port != l.Port() || inv.Defaults.Key != l.KeyFile() || inv.Defaults.KnownHosts != l.KnownHostsFile() {
		t.Errorf("defaults = %+v", inv.Defaults)
	}
	// 300 web hosts from 127.90.0.1 on: an address range cannot pass 254.
	for name, addr := range map[string]string{
		"web[001-254]": "127.90.0.[1-254]", "web[255-300]": "127.90.1.[1-46]", "app[001-150]": "127.90.1.[47-196]",
	} {
		if got := inv.Hosts[name].Address; got != addr {
			t.Errorf("hosts.yaml: %s at %q, want %q", name, got, addr)
		}
	}
	if g := inv.Groups["web"].Hosts; len(g) != 2 || g[0] != "web[001-254]" || g[1] != "web[255-300]" {
		t.Errorf("group web = %q", g)
	}
	known, err := os.ReadFile(l.KnownHostsFile())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(known), "\n"); n != 599 {
		t.Errorf("known_hosts has %d lines, want 599: one key is unknown", n)
	}
}

func TestSameFolderSameKeys(t *testing.T) {
	dir := t.TempDir()
	var keys [2]string
	for i := range keys {
		l := start(t, Config{N: 1, Dir: dir})
		if err := l.WriteFiles(); err != nil {
			t.Fatal(err)
		}
		keys[i] = string(ssh.MarshalAuthorizedKey(l.Hosts()[0].HostKey))
		l.Close()
	}
	if keys[0] != keys[1] {
		t.Errorf("host keys differ:\n%s%s", keys[0], keys[1])
	}
	other := start(t, Config{N: 1})
	if got := string(ssh.MarshalAuthorizedKey(other.Hosts()[0].HostKey)); got == keys[0] {
		t.Error("another folder has the same host key")
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		cfg         Config
		first, last string
		n           int
	}{
		{Config{}, "web01", "cache02", 20},
		{Config{N: 1}, "web01", "web01", 1},
		{Config{N: 1000}, "web001", "cache100", 1000},
		{Config{N: 3, Prefix: "node"}, "node01", "node03", 3},
		{Config{Names: []string{"b", "a"}}, "b", "a", 2},
	} {
		names, err := hostNames(c.cfg)
		if err != nil || len(names) != c.n {
			t.Errorf("%+v: %d names, %v; want %d", c.cfg, len(names), err, c.n)
			continue
		}
		if names[0] != c.first || names[len(names)-1] != c.last {
			t.Errorf("%+v: %s..%s, want %s..%s", c.cfg, names[0], names[len(names)-1], c.first, c.last)
		}
	}
	for _, bad := range []Config{{N: -1}, {N: 3, Names: []string{"a"}}, {Names: []string{"-x"}}, {Prefix: "a b"}, {Names: []string{"a\n"}}} {
		if _, err := hostNames(bad); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestAddresses(t *testing.T) {
	a := netip.MustParseAddr("127.90.0.253")
	var got []string
	for range 3 {
		a = nextAddr(a)
		got = append(got, a.String())
	}
	if strings.Join(got, " ") != "127.90.0.254 127.90.1.1 127.90.1.2" {
		t.Errorf("addresses = %v", got)
	}
	if a := nextAddr(netip.MustParseAddr("127.255.255.254")); a.IsLoopback() {
		t.Errorf("after the last: %v", a)
	}
}

func TestStartRefuses(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{BaseAddr: "10.0.0.0"}, "not in 127.0.0.0/8"},
		{Config{BaseAddr: "x"}, "base address"},
		{Config{N: 3, BaseAddr: "127.255.255.252"}, "do not fit"},
		{Config{N: 100_000_000}, "open files"},
		{Config{Names: []string{"a", "a"}}, "two hosts named"},
		{Config{N: 2, Faults: map[string]Fault{"web09": "hang"}}, `fault for "web09"`},
		{Config{N: 2, Faults: map[string]Fault{"web01": "hangs"}}, `unknown fault "hangs"`},
	} {
		l, err := Start(context.Background(), c.cfg)
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
}

func TestParseFault(t *testing.T) {
	host, f, err := ParseFault("db*=slow-auth=2s+max-sessions=1")
	if host != "db*" || f != "slow-auth=2s+max-sessions=1" || err != nil {
		t.Errorf("ParseFault = %q, %q, %v", host, f, err)
	}
	for s, want := range map[string]string{
		"web01":               "HOST=FAULT",
		"=hang":               "HOST=FAULT",
		"web01=hnag":          `unknown fault "hnag": did you mean hang?`,
		"web01=hang=1":        "takes no value",
		"web01=cut":           "needs a value: cut=K",
		"web01=cut=x":         `"x" is not a number of bytes`,
		"web01=slow-auth=-1s": "is not a duration",
		"web01=throttle-n=-1": "is not a count",
	} {
		if _, _, err := ParseFault(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}

func TestPatternsStack(t *testing.T) {
	l := start(t, Config{N: 4, Prefix: "web", Faults: map[string]Fault{"web*": "slow-banner=50ms", "web02": "deny-auth"}})
	p := probe{t, l, l.Host("web02")}
	p.takes(50*time.Millisecond, func() { p.loginFails(far, "unable to authenticate") })
	p.host = l.Host("web03")
	p.takes(50*time.Millisecond, p.works)
}
