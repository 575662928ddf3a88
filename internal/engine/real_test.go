package engine

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// These tests wait most of the time and run side by side; that nothing is left
// behind is looked at once, at the end of all.

// realServers are the servers that these tests run against.
var realServers = map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server{
	"openssh": sshtest.OpenSSH, "dropbear": sshtest.Dropbear,
}

// loopback gives the addresses 127.0.n.1 and so on.
func loopback(n, count int) sshtest.Option {
	var addrs []string
	for i := range count {
		addrs = append(addrs, fmt.Sprintf("127.0.%d.%d", n, i+1))
	}
	return sshtest.Listen(addrs...)
}

// askReal makes a request for all addresses of a real server, as hosts real1,
// real2, ...
func askReal(s *sshtest.Server, command string) Request {
	req := Request{
		Command: command, Fanout: 200, MaxOutput: 1 << 20,
		Access: Access{ConnectTimeout: time.Minute, User: s.User, Keys: []string{s.KeyFile}, KnownHosts: []string{s.KnownHosts}},
	}
	for i, a := range s.Addresses {
		req.Hosts = append(req.Hosts, &inventory.Host{
			Name: fmt.Sprintf("real%d", i+1), Settings: inventory.Settings{Address: a, Port: s.Port},
		})
	}
	return req
}

// ending is how a command ends on a real server.
type ending struct {
	name, command  string
	outcome        scheduler.Outcome
	kind           scheduler.Kind
	text           string
	exit           int // -1: none
	signal         string
	stdout, stderr string
}

var endings = []ending{
	{"ok", "echo out; echo err >&2", okay, "", "", 0, "", "out\n", "err\n"},
	{"silent", "true", okay, "", "", 0, "", "", ""},
	{"exit status", "printf half; exit 42", failed, scheduler.KindExit, "exit status 42", 42, "", "half", ""},
	{"exit status 255", "exit 255", failed, scheduler.KindExit, "exit status 255", 255, "", "", ""},
	{"no such command", "exec /does/not/exist 2>/dev/null", failed, scheduler.KindExit, "exit status 127", 127, "", "", ""},
	{"killed", "printf half; kill -9 $$", failed, scheduler.KindSignal, "ended by signal KILL", -1, "KILL", "half", ""},
	{"terminated", "kill -TERM $$", failed, scheduler.KindSignal, "ended by signal TERM", -1, "TERM", "", ""},
	{"bytes", `printf '\000\001\033[31m\377\376\r\n\303'`, okay, "", "", 0, "", "\x00\x01\x1b[31m\xff\xfe\r\n\xc3", ""},
	{"no stdin", "cat; echo end", okay, "", "", 0, "", "end\n", ""},
	{"arguments", `echo "$0" 'a  b' $((6*7))`, okay, "", "", 0, "", "", ""},
	{"background child", "sleep 600 & echo started", okay, "", "", 0, "", "started\n", ""},
}

func TestCommandsOnRealServers(t *testing.T) {
	t.Parallel()
	for name, start := range realServers {
		t.Run(name, func(t *testing.T) {
			s := start(t, loopback(21, 3))
			for _, e := range endings {
				t.Run(e.name, func(t *testing.T) {
					c := carry(t, askReal(s, e.command), newTold(), nil)
					for host, res := range c.results {
						e.check(t, name, c, host, res)
					}
				})
			}
		})
	}
}

func (e ending) check(t *testing.T, server string, c carried, host string, res event.Result) {
	t.Helper()
	if res.Outcome != e.outcome || res.Signal != e.signal || res.Attempts != 1 {
		t.Errorf("%s: %s by signal %q after %d attempts: %v", host, res.Outcome, res.Signal, res.Attempts, res.Cause)
	}
	if res.Cause != nil && (res.Cause.Kind != e.kind || !strings.HasPrefix(res.Cause.Text, e.text)) {
		t.Errorf("%s: cause %v, want %s %q", host, res.Cause, e.kind, e.text)
	}
	switch code := res.ExitCode; {
	case code == nil && e.exit >= 0:
		t.Errorf("%s: no exit status, want %d", host, e.exit)
	case code != nil && *code != e.exit:
		t.Errorf("%s: exit status %d, want %d", host, *code, e.exit)
	}
	if e.name == "arguments" {
		if !strings.HasSuffix(string(c.stdout(host)), " a  b 42\n") {
			t.Errorf("%s: stdout %q", host, c.stdout(host))
		}
		return
	}
	if string(c.stdout(host)) != e.stdout || string(c.stderr(host)) != e.stderr {
		t.Errorf("%s: stdout %q, stderr %q", host, c.stdout(host), c.stderr(host))
	}
	// dropbear does not wait for the pipe: it closes the channel with its command.
	if held := e.name == "background child" && server == "openssh"; res.Lingering != held || held && res.Run > sshpool.DrainTime {
		t.Errorf("%s: lingering %v, ran %v", host, res.Lingering, res.Run)
	}
}

// TestMuchOutputOfRealServers takes 20 MB on each stream at once, exact.
func TestMuchOutputOfRealServers(t *testing.T) {
	t.Parallel()
	for name, start := range realServers {
		t.Run(name, func(t *testing.T) {
			s := start(t, loopback(22, 2))
			const size = 20 << 20
			content := bytes.Repeat([]byte("0123456789abcdef\x00\xff\r\n...."), size/24+1)[:size]
			file := filepath.Join(s.Dir, "content")
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
			req := askReal(s, "cat "+file+"; cat "+file+" >&2")
			req.MaxOutput = size
			c := carry(t, req, newTold(), nil)
			want := sha256.Sum256(content)
			for host, res := range c.results {
				if res.Outcome != okay || res.Truncated || res.StdoutBytes != size || res.StderrBytes != size {
					t.Errorf("%s: %s, %d and %d bytes: %v", host, res.Outcome, res.StdoutBytes, res.StderrBytes, res.Cause)
				}
				if sha256.Sum256(c.stdout(host)) != want || sha256.Sum256(c.stderr(host)) != want {
					t.Errorf("%s: the output is not that of the file", host)
				}
			}
		})
	}
}

// sleepers carries a command out that waits on all hosts of s, and calls then
// when all have said that they do.
func sleepers(t *testing.T, s *sshtest.Server, stops <-chan struct{}, alter func(*Run), then func()) carried {
	t.Helper()
	req := askReal(s, "echo waiting; exec sleep 600")
	req.Stops = stops
	seen := newTold()
	var waiting atomic.Int64
	done := make(chan struct{})
	seen.onOutput = func(event.Output) {
		if waiting.Add(1) == int64(len(req.Hosts)) {
			go func() {
				defer close(done)
				then()
			}()
		}
	}
	c := carry(t, req, seen, alter)
	<-done
	return c
}

func impatient(r *Run) {
	retarget(r, func(_ string, target *sshpool.Target) {
		target.KeepaliveInterval, target.KeepaliveCount = 500*time.Millisecond, 3
	})
}

// TestFrozenRealServer stops the server's processes under running commands.
func TestFrozenRealServer(t *testing.T) {
	t.Parallel()
	for name, start := range realServers {
		t.Run(name, func(t *testing.T) {
			s := start(t, loopback(23, 3))
			var at time.Time
			c := sleepers(t, s, nil, impatient, func() { s.Freeze(); at = time.Now() })
			for host, res := range c.results {
				if res.Outcome != lost || res.Cause.Kind != scheduler.KindConnLost || res.ExitCode != nil || string(c.stdout(host)) != "waiting\n" {
					t.Errorf("%s: %s: %v", host, res.Outcome, res.Cause)
				}
				if after := res.Time.Sub(at); after > 2500*time.Millisecond+slack {
					t.Errorf("%s: found after %v", host, after)
				}
			}
			s.Continue()
		})
	}
}

// TestKilledRealServer ends the server under running commands.
func TestKilledRealServer(t *testing.T) {
	t.Parallel()
	for name, start := range realServers {
		t.Run(name, func(t *testing.T) {
			s := start(t, loopback(24, 3))
			c := sleepers(t, s, nil, nil, s.Stop)
			for host, res := range c.results {
				if res.Outcome != lost || res.Cause.Kind != scheduler.KindConnLost || res.ExitCode != nil || string(c.stdout(host)) != "waiting\n" {
					t.Errorf("%s: %s: %v", host, res.Outcome, res.Cause)
				}
			}
		})
	}
}

// TestStopOnRealServers stops a run whose commands wait: all are canceled.
func TestStopOnRealServers(t *testing.T) {
	t.Parallel()
	for name, start := range realServers {
		t.Run(name, func(t *testing.T) {
			s := start(t, loopback(25, 3))
			stops := make(chan struct{}, 1)
			c := sleepers(t, s, stops, nil, func() { stops <- struct{}{} })
			if n := c.summary.Counts[scheduler.Canceled]; n != 3 || !c.summary.Interrupted {
				t.Errorf("%v: %v", c.summary.Counts, c.causes())
			}
		})
	}
}

// TestTightRealServer has 60 names of one sshd that allows two sessions a
// connection and few connections before their login.
func TestTightRealServer(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t, loopback(26, 4), sshtest.MaxSessions(2), sshtest.MaxStartups("4:100:4"))
	req := askReal(s, "echo $SSH_CONNECTION")
	addresses := req.Hosts
	for i, name := range numbered("alias", 56) {
		h := *addresses[i%4]
		h.Name = name
		req.Hosts = append(req.Hosts, &h)
	}
	c := carry(t, req, newTold(), nil)
	if n := c.summary.Counts[okay]; n != 60 {
		t.Errorf("%d of 60 ok: %v", n, c.causes())
	}
	// One connection for each address, whatever the number of names.
	connections := map[string]bool{}
	for host := range c.results {
		connections[string(c.stdout(host))] = true
	}
	if len(connections) != 4 {
		t.Errorf("%d connections, want 4", len(connections))
	}
}

// TestWrongKeysOnRealServers meets a server whose host key is another, one that
// is not known, and one that refuses the login.
func TestWrongKeysOnRealServers(t *testing.T) {
	t.Parallel()
	for name, start := range realServers {
		t.Run(name, func(t *testing.T) {
			s := start(t, loopback(27, 2))
			other := sshtest.Lab(t, lab.Config{N: 1})
			mark := filepath.Join(s.Dir, "mark")
			for _, w := range []struct {
				what   string
				change func(*Request)
				kind   scheduler.Kind
				stage  scheduler.Stage
				text   string
			}{
				{"changed", func(r *Request) { r.KnownHosts = []string{knownAs(t, s, other)} },
					scheduler.KindHostKeyChanged, scheduler.StageKex, "host key"},
				{"unknown", func(r *Request) { r.KnownHosts = []string{other.KnownHosts} },
					scheduler.KindHostKeyUnknown, scheduler.StageKex, "host key"},
				{"refused", func(r *Request) { r.Keys = []string{other.KeyFile} },
					scheduler.KindAuth, scheduler.StageAuth, "login refused; tried ssh-ed25519 SHA256:"},
			} {
				req := askReal(s, "touch "+mark)
				w.change(&req)
				known := fileState(t, req.KnownHosts[0])
				c := carry(t, req, newTold(), nil)
				for host, res := range c.results {
					if res.Outcome != never || res.Attempts != 1 || res.Cause.Kind != w.kind || res.Cause.Stage != w.stage || !strings.HasPrefix(res.Cause.Text, w.text) {
						t.Errorf("%s, %s: %s after %d attempts: %v", w.what, host, res.Outcome, res.Attempts, res.Cause)
					}
				}
				if fileState(t, req.KnownHosts[0]) != known {
					t.Errorf("%s: known_hosts was touched", w.what)
				}
				if _, err := os.Stat(mark); err == nil {
					t.Errorf("%s: the command ran", w.what)
				}
			}
		})
	}
}

// knownAs writes a known_hosts file in which the server's addresses have the
// key of another fleet's host.
func knownAs(t *testing.T, s *sshtest.Server, other *sshtest.Fleet) string {
	t.Helper()
	text, err := os.ReadFile(other.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	var b strings.Builder
	for _, a := range s.Addresses {
		fmt.Fprintf(&b, "[%s]:%d %s\n", a, s.Port, key)
	}
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
