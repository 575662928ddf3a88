package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fleet/internal/lab"
)

// counters is a lab whose hosts run real commands and count them, each in a file
// of its own.
type counters struct {
	t    *testing.T
	lab  *lab.Lab
	dir  string
	ran  atomic.Int64           // commands so far
	busy atomic.Int64           // of these under way
	at   atomic.Pointer[killAt] // told when so many ran
	env  []string
}

type killAt struct {
	count int64
	now   chan struct{}
}

func startCounters(t *testing.T, n int) *counters {
	t.Helper()
	c := &counters{t: t, dir: filepath.Join(t.TempDir(), "counts")}
	home := t.TempDir()
	l, err := startLab(context.Background(), lab.Config{N: n, Prefix: "web", Dir: t.TempDir(), Shell: c.shell})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c.lab = l
	c.env = append(os.Environ(), "FLEET_INVENTORY="+l.InventoryFile(), "HOME="+home, "XDG_STATE_HOME=")
	return c
}

// shell runs a command by /bin/sh, as realShell of the lab does, with the host's
// name in HOSTNAME.
func (c *counters) shell(ctx context.Context, cmd *lab.Command) lab.Exit {
	c.busy.Add(1)
	defer c.busy.Add(-1)
	if at := c.at.Load(); c.ran.Add(1) == at.count {
		close(at.now)
	}
	sh := exec.CommandContext(ctx, "/bin/sh", "-c", cmd.Line)
	sh.Env = append(os.Environ(), "HOSTNAME="+cmd.Host.Name, "COUNTS="+c.dir)
	sh.Stdout, sh.Stderr, sh.WaitDelay = cmd.Stdout, cmd.Stderr, time.Second
	sh.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	sh.Cancel = func() error { return syscall.Kill(-sh.Process.Pid, syscall.SIGKILL) } // with all that it started
	stdin, err := sh.StdinPipe()
	if err == nil {
		err = sh.Start()
	}
	if err != nil {
		return lab.Exit{Status: 126}
	}
	go func() {
		io.Copy(stdin, cmd.Stdin) //nolint:errcheck // the command may have ended
		stdin.Close()
	}()
	sh.Wait() //nolint:errcheck // the status says it
	return lab.Exit{Status: max(0, sh.ProcessState.ExitCode())}
}

// fleet is the built command on this lab.
func (c *counters) fleet(args ...string) *exec.Cmd {
	c.t.Helper()
	exe, err := exec.LookPath("fleet")
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = c.env
	return cmd
}

// reset empties the counters, and has the kill come when count commands ran.
func (c *counters) reset(count int64) *killAt {
	if err := os.RemoveAll(c.dir); err != nil {
		c.t.Fatal(err)
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	at := &killAt{count, make(chan struct{})}
	c.at.Store(at)
	c.ran.Store(0)
	if count == 0 {
		close(at.now)
	}
	return at
}

// times says how often the command ran on each host.
func (c *counters) times() map[string]int {
	c.t.Helper()
	times := map[string]int{}
	for _, h := range c.lab.Hosts() {
		text, err := os.ReadFile(filepath.Join(c.dir, h.Name))
		if err != nil && !os.IsNotExist(err) {
			c.t.Fatal(err)
		}
		times[h.Name] = strings.Count(string(text), "\n")
	}
	return times
}

// TestKilled ends fleet by SIGKILL at random points of a run: its record has
// exactly one outcome for each host, and it agrees with what the hosts counted;
// going on with the run has no command run twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	hosts, points := 60, 8
	if os.Getenv("FLEET_SOAK") != "" {
		hosts, points = 200, 200
	}
	c := startCounters(t, hosts)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range points {
		count := random.Int64N(int64(hosts) + 1)
		later := time.Duration(random.Int64N(int64(20 * time.Millisecond)))
		if !t.Run(fmt.Sprintf("%d", i), func(t *testing.T) { c.killed(t, count, later) }) {
			t.Fatalf("seed %d: killed %v after %d of %d commands had begun", seed, later, count, hosts)
		}
	}
}

func (c *counters) killed(t *testing.T, count int64, later time.Duration) {
	at := c.reset(count)
	before := c.runs(t)
	cmd := c.fleet("run", "-o", "quiet", "-f", "20", "all", "--", `echo x >>"$COUNTS/$HOSTNAME"; echo did $HOSTNAME`)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() //nolint:errcheck // killed, or at its end before that
		close(ended)
	}()
	select {
	case <-at.now:
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("a minute has passed")
	}
	select {
	case <-ended:
	case <-time.After(later):
	}
	cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-ended
	c.quiet(t)

	times := c.times()
	if c.runs(t) == before {
		for host, n := range times {
			if n > 0 {
				t.Errorf("%s: the command ran in a run that is not recorded", host)
			}
		}
		return
	}
	outcomes := c.outcomes(t)
	if len(outcomes) != len(times) {
		t.Errorf("%d of %d hosts have an outcome", len(outcomes), len(times))
	}
	agree(t, times, outcomes)
	again := c.fleet("rerun", "last") // refused where nothing is left to run
	if text, err := again.CombinedOutput(); err != nil && !strings.Contains(string(text), "no host is left") {
		t.Errorf("rerun: %v: %s", err, text)
	}
	for host, n := range c.times() {
		if n > 1 || n < 1 && outcomes[host] != "lost" {
			t.Errorf("%s: was %s, and after going on the command has run %d times", host, outcomes[host], n)
		}
	}
}

// agree holds outcomes to what the hosts counted.
func agree(t *testing.T, times map[string]int, outcomes map[string]string) {
	t.Helper()
	for host, n := range times {
		o := outcomes[host]
		right := o == "ok" && n == 1 || o == "lost" && n <= 1 || (o == "skipped" || o == "unreachable") && n == 0
		if !right {
			t.Errorf("%s: %q, and its command ran %d times", host, o, n)
		}
	}
}

// quiet waits until no host runs a command any more.
func (c *counters) quiet(t *testing.T) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); c.lab.Stats().Open+c.busy.Load() > 0; <-time.After(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("connections stay open")
		}
	}
}

// runs is the number of recorded runs.
func (c *counters) runs(t *testing.T) int {
	t.Helper()
	text, err := c.fleet("history", "-o", "json", "-n", "0").Output()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Runs []struct{} }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return len(doc.Runs)
}

// outcomes are those of the last run; each host may have one only.
func (c *counters) outcomes(t *testing.T) map[string]string {
	t.Helper()
	text, err := c.fleet("history", "show", "-o", "json", "last").Output()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Results []struct{ Host, Outcome string }
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]string{}
	for _, r := range doc.Results {
		if before, twice := outcomes[r.Host]; twice {
			t.Errorf("%s is %s and %s", r.Host, before, r.Outcome)
		}
		outcomes[r.Host] = r.Outcome
	}
	return outcomes
}
