package engine

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/scheduler"
	"fleet/sshpool"
)

// faulty is a host with something wrong and what a run has to say about it.
type faulty struct {
	fault    lab.Fault
	outcome  scheduler.Outcome
	kind     scheduler.Kind
	stage    scheduler.Stage
	text     string // a pattern for the whole text
	connects int64  // connections that reach the host
	logins   int64  // login attempts that it sees; -1: depends on who counts first
	commands int64  // commands that reach it
	attempts int    // as reported
}

const (
	okay   = scheduler.OK
	failed = scheduler.Failed
	never  = scheduler.Unreachable
	lost   = scheduler.Lost
)

// endless are faults that nothing but a limit ends; LIMIT stands for it.
var endless = []faulty{
	{"hang", never, scheduler.KindTimeout, scheduler.StageBanner, "timeout in banner after LIMIT", 1, 0, 0, 1},
	{"slow-banner=1h", never, scheduler.KindTimeout, scheduler.StageBanner, "timeout in banner after LIMIT", 1, 0, 0, 1},
	{"hang-kex", never, scheduler.KindTimeout, scheduler.StageKex, "timeout in kex after LIMIT", 1, 0, 0, 1},
	{"slow-kex=1h", never, scheduler.KindTimeout, scheduler.StageKex, "timeout in kex after LIMIT", 1, 0, 0, 1},
	{"hang-auth", never, scheduler.KindTimeout, scheduler.StageAuth, "timeout in auth after LIMIT", 1, -1, 0, 1},
	{"slow-auth=1h", never, scheduler.KindTimeout, scheduler.StageAuth, "timeout in auth after LIMIT", 1, -1, 0, 1},
	{"freeze", never, scheduler.KindTimeout, scheduler.StageChannel, "timeout in channel after LIMIT", 1, 1, 0, 1},
	{"hang-channel", never, scheduler.KindTimeout, scheduler.StageChannel, "timeout in channel after LIMIT", 1, 1, 0, 1},
	{"hang-exec", lost, scheduler.KindTimeout, scheduler.StageChannel, "timeout in channel after LIMIT", 1, 1, 1, 1},
}

// prompt are faults that show by themselves, and healthy hosts with bad manners.
var prompt = []faulty{
	{"refuse", never, scheduler.KindRefused, scheduler.StageTCP, "connection refused", 0, 0, 0, 1},
	{"reset", never, scheduler.KindRefused, scheduler.StageBanner, "connection (reset|dropped) .*", 3, 0, 0, 3},
	{"eof", never, scheduler.KindRefused, scheduler.StageBanner, "connection (closed|reset|dropped) .*", 3, 0, 0, 3},
	{"reset-n=2", okay, "", "", "", 3, 1, 1, 3},
	{"reset-n=3", never, scheduler.KindRefused, scheduler.StageBanner, "connection (reset|dropped) .*", 3, 0, 0, 3},
	{"preversion-flood", never, scheduler.KindProtocol, scheduler.StageBanner,
		`not an SSH server: "line 0 before the version \\x1b\[31mwith colour\\x1b\[0m\\r\\nline 1 .*"\.\.\.`, 1, 0, 0, 1},
	{"throttle", never, scheduler.KindThrottled, scheduler.StageBanner, `throttled: "Exceeded MaxStartups"`, 1, 0, 0, 1},
	{"penalty", never, scheduler.KindThrottled, scheduler.StageBanner, `throttled: "Not allowed at this time"`, 1, 0, 0, 1},
	{"http", never, scheduler.KindProtocol, scheduler.StageBanner, `not an SSH server: "HTTP/1\.1 400 Bad Request.*`, 1, 0, 0, 1},
	{"badkex", never, scheduler.KindKexMismatch, scheduler.StageKex,
		`no common algorithm for key exchange: we offer .*256.*; the host offers "diffie-hellman-group1-sha1.*"`, 1, 0, 0, 1},
	{"wrong-key", never, scheduler.KindHostKeyChanged, scheduler.StageKex, "host key changed.*", 1, 0, 0, 1},
	{"unknown-key", never, scheduler.KindHostKeyUnknown, scheduler.StageKex, "host key (unknown|is not in known_hosts)", 1, 0, 0, 1},
	{"deny-auth", never, scheduler.KindAuth, scheduler.StageAuth, "login refused; tried ssh-ed25519 SHA256:.*", 1, 1, 0, 1},
	{"password-only", never, scheduler.KindAuth, scheduler.StageAuth, "no way to log in.*the host allows password.*", 1, 0, 0, 1},
	{"noisy-banner", okay, "", "", "", 1, 1, 1, 1},
	{"big-banner=60K", okay, "", "", "", 1, 1, 1, 1},
	{"slow-auth=300ms", okay, "", "", "", 1, 1, 1, 1},
	{"refuse-channel", never, scheduler.KindSessionLimit, scheduler.StageChannel, `session refused: "administratively prohibited"`, 1, 1, 0, 1},
	{"refuse-exec", failed, scheduler.KindPermission, scheduler.StageChannel, "command refused by the host", 1, 1, 0, 1},
	{"max-sessions=1", okay, "", "", "", 1, 1, 1, 1},
	{"requests", okay, "", "", "", 1, 1, 1, 1},
	{"rekey-each=64K", okay, "", "", "", 1, 1, 1, 1},
	{"garbage", lost, scheduler.KindConnLost, scheduler.StageCommand, "connection lost.*", 1, 1, 1, 1},
	{"noisy", okay, "", "", "", 1, 1, 1, 1},
	{"cut=7", lost, scheduler.KindConnLost, scheduler.StageCommand, "connection lost: (closed|reset) by the host", 1, 1, 1, 1},
	{"freeze-after=7", lost, scheduler.KindConnLost, scheduler.StageCommand, "connection lost: no answer for 1.5s", 1, 1, 1, 1},
	{"signal", failed, scheduler.KindSignal, scheduler.StageCommand, "ended by signal KILL.*", 1, 1, 1, 1},
	{"no-status", failed, scheduler.KindNoStatus, scheduler.StageCommand, "channel closed without an exit status", 1, 1, 1, 1},
	{"linger", okay, "", "", "", 1, 1, 1, 1},
}

// nameOf is the name of the host with a fault.
func (f faulty) name() string {
	return "bad-" + regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(string(f.fault)), "-")
}

// badFleet is a lab of good hosts and one host for each of the faults.
func badFleet(t testing.TB, good int, faults ...faulty) (f *sshtest.Fleet, bad []*lab.Host, fine []*lab.Host) {
	t.Helper()
	cfg := lab.Config{Names: numbered("good", good), Faults: map[string]lab.Fault{}}
	for _, b := range faults {
		cfg.Names = append(cfg.Names, b.name())
		cfg.Faults[b.name()] = b.fault
	}
	f = sshtest.Lab(t, cfg)
	return f, f.Hosts()[good:], f.Hosts()[:good]
}

// check holds the result of a faulty host to what is expected of it.
func (f faulty) check(t *testing.T, c carried, h *lab.Host, limit time.Duration) {
	t.Helper()
	res := c.results[h.Name]
	if res.Outcome != f.outcome || res.Attempts != f.attempts {
		t.Errorf("outcome %s after %d attempts, want %s after %d; cause %v", res.Outcome, res.Attempts, f.outcome, f.attempts, res.Cause)
	}
	if cause := res.Cause; cause != nil {
		text := strings.ReplaceAll(f.text, "LIMIT", limit.String())
		if cause.Kind != f.kind || cause.Stage != f.stage || !regexp.MustCompile("^(?:"+text+")$").MatchString(cause.Text) {
			t.Errorf("cause %v, want %s(%s) like %q", cause, f.kind, f.stage, text)
		}
		if !printable(cause.Text) || strings.Contains(cause.Text, h.Address) || strings.Contains(cause.Text, h.Name) {
			t.Errorf("text %q is not plain, or tells the host", cause.Text)
		}
	}
	s := h.Stats()
	if s.Accepted != f.connects || f.logins >= 0 && s.Attempts != f.logins || s.CommandsRun != f.commands {
		t.Errorf("the host saw %d connections, %d logins, %d commands; want %d, %d, %d",
			s.Accepted, s.Attempts, s.CommandsRun, f.connects, f.logins, f.commands)
	}
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

// TestBadHostsDelayNobody runs a command on a thousand hosts with one of each
// faulty kind in front. Those that hang have an hour to do so: the others must
// end meanwhile, whatever the machine's speed.
func TestBadHostsDelayNobody(t *testing.T) {
	all := append(append([]faulty{}, endless...), prompt...)
	leaves(t)
	f, bad, fine := badFleet(t, 1000, all...)
	known := fileState(t, f.KnownHosts)
	stops := make(chan struct{}, 1)
	req := ask(f, "echo 1234567890; stderr 100", append(bad, fine...)...)
	req.ConnectTimeout, req.Stops = 0, stops
	for i, h := range req.Hosts {
		h.ConnectTimeout = time.Hour
		if i >= len(endless) && i < len(all) {
			h.ConnectTimeout = 14 * time.Second // too short to ask a throttling host twice
		}
	}
	s := newTold()
	left := len(fine) + len(prompt)
	s.onResult = func(event.Result) {
		if left--; left == 0 {
			stops <- struct{}{}
		}
	}
	c := carry(t, req, s, func(r *Run) {
		light(r)
		retarget(r, impatientWith("bad-freeze-after-7"))
	})
	leftAlone(t, f, 4)
	if !c.summary.Interrupted || c.summary.Counts[scheduler.Canceled] != len(endless) {
		t.Errorf("the hanging hosts did not outlast the others: %v", c.summary.Counts)
	}
	for i, b := range all {
		t.Run(string(b.fault), func(t *testing.T) {
			if i >= len(endless) {
				b.check(t, c, bad[i], 0)
			} else if o := c.results[bad[i].Name].Outcome; o != scheduler.Canceled {
				t.Errorf("%s: %s: %v", b.fault, o, c.results[bad[i].Name].Cause)
			}
		})
	}
	for _, h := range fine {
		if res := c.results[h.Name]; res.Outcome != okay || string(c.stdout(h.Name)) != "1234567890\n" || len(c.stderr(h.Name)) != 100 {
			t.Errorf("%s: %s %v, wrote %q", h.Name, res.Outcome, res.Cause, c.stdout(h.Name))
		}
	}
	if got := string(c.stdout("bad-cut-7")); got != "1234567" {
		t.Errorf("output up to the cut: %q", got)
	}
	for _, name := range []string{"bad-cut-7", "bad-freeze-after-7", "bad-no-status", "bad-signal"} {
		if code := c.results[name].ExitCode; code != nil {
			t.Errorf("%s: exit status %d, which nobody sent", name, *code)
		}
	}
	if sig := c.results["bad-signal"].Signal; sig != "KILL" {
		t.Errorf("signal %q", sig)
	}
	if res := c.results["bad-linger"]; !res.Lingering || res.Run > sshpool.DrainTime {
		t.Errorf("a child that holds the output: lingering %v, ran %v", res.Lingering, res.Run)
	}
	if now := fileState(t, f.KnownHosts); now != known {
		t.Errorf("known_hosts changed from %s to %s", known, now)
	}
}

// impatientWith gives one host a keepalive that finds it dead after 1.5 s.
func impatientWith(name string) func(string, *sshpool.Target) {
	return func(host string, t *sshpool.Target) {
		if host == name {
			t.KeepaliveInterval, t.KeepaliveCount = 500*time.Millisecond, 3
		}
	}
}

// fileState tells whether a file was touched.
func fileState(t testing.TB, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v %d %x", info.ModTime(), info.Size(), text)
}

// TestEachStageHasItsLimit finds what hangs at its limit, not before, and soon
// after.
func TestEachStageHasItsLimit(t *testing.T) {
	leaves(t)
	f, bad, _ := badFleet(t, 0, endless...)
	const limit = 3 * time.Second
	req := ask(f, "true", bad...)
	req.ConnectTimeout = limit
	c := carry(t, req, newTold(), nil)
	leftAlone(t, f, 3)
	for i, b := range endless {
		t.Run(string(b.fault), func(t *testing.T) {
			b.check(t, c, bad[i], limit)
			res := c.results[bad[i].Name]
			// What hangs after the login has the limit for that as well.
			if took := res.Time.Sub(c.started[bad[i].Name]); took < limit || took > limit+limit/2+slack {
				t.Errorf("took %v", took)
			}
		})
	}
}

// slack is what a busy machine may add to a limit.
const slack = 3 * time.Second

// TestHostOfEndlessLinesCostsNoMemory has 20 hosts send lines without end
// before their version.
func TestHostOfEndlessLinesCostsNoMemory(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 20, Prefix: "talker", Faults: map[string]lab.Fault{"*": "preversion-flood"}})
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	c := carry(t, ask(f, "true", f.Hosts()...), newTold(), nil)
	leftAlone(t, f, 0)
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
	for _, res := range c.results {
		if res.Outcome != never || len(res.Cause.Text) > 1000 {
			t.Errorf("%s: %s, %d bytes of text", res.Host, res.Outcome, len(res.Cause.Text))
		}
	}
}
