package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/tasks"
)

// TestStopAtHalf stops a run of 400 hosts when 200 have ended and 50 are under
// way: none starts any more, the commands under way end on their hosts, and
// everyone is accounted for.
func TestStopAtHalf(t *testing.T) {
	leaves(t)
	var running, ended atomic.Int64
	f := sshtest.Lab(t, lab.Config{Names: numbered("h", 400), Shell: func(ctx context.Context, c *lab.Command) lab.Exit {
		if c.Host.Name <= "h00200" {
			return lab.Exit{}
		}
		running.Add(1)
		defer ended.Add(1)
		<-ctx.Done()
		if why := context.Cause(ctx).Error(); why != "signal TERM" {
			t.Errorf("%s: command ended by %s", c.Host.Name, why)
		}
		return lab.Exit{Signal: "TERM"}
	}})
	stops := make(chan struct{}, 2)
	req := ask(f, "true", f.Hosts()...)
	req.Fanout, req.Stops = 50, stops
	s := newTold()
	stopped := make(chan time.Time, 1)
	go func() {
		eventually(t, "50 commands under way", func() bool { return running.Load() == 50 })
		stopped <- time.Now()
		stops <- struct{}{}
	}()
	c := carry(t, req, s, light)
	at := <-stopped
	if over := time.Since(at); over > time.Second+slack {
		t.Errorf("took %v to stop", over)
	}
	for host, when := range s.started {
		if when.After(at.Add(100 * time.Millisecond)) {
			t.Errorf("%s started %v after the stop", host, when.Sub(at))
		}
	}
	if n := c.summary.Counts; n[okay] != 200 || n[scheduler.Canceled] != 50 || n[scheduler.Skipped] != 150 || !c.summary.Interrupted {
		t.Errorf("%v, interrupted %v: %v", n, c.summary.Interrupted, c.causes())
	}
	eventually(t, "the commands to end on their hosts", func() bool { return ended.Load() == 50 })
	if n := running.Load(); n != 50 {
		t.Errorf("%d commands ran", n)
	}
	leftAlone(t, f, 0)
}

// TestSecondStopLeavesAtOnce asks twice while all hosts write as fast as they
// can: results are final, and nobody is told of output after them.
func TestSecondStopLeavesAtOnce(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 20, Prefix: "writer", Faults: map[string]lab.Fault{"*": "flood"}})
	for round := range 5 {
		stops := make(chan struct{}, 2)
		req := ask(f, "yes", f.Hosts()...)
		req.Stops, req.MaxOutput, req.Keep = stops, 1<<20, true
		s := newTold()
		s.drop = true
		var first atomic.Bool
		var at time.Time
		s.onOutput = func(event.Output) {
			if first.CompareAndSwap(false, true) {
				at = time.Now()
				stops <- struct{}{}
				stops <- struct{}{}
			}
		}
		s.onResult = func(r event.Result) {
			if r.StdoutBytes < r.Stdout.Len() {
				t.Errorf("round %d: %s wrote %d bytes, and %d were kept", round, r.Host, r.StdoutBytes, r.Stdout.Len())
			}
		}
		c := carry(t, req, s, light)
		if over := time.Since(at); over > time.Second+slack {
			t.Errorf("round %d: took %v to leave", round, over)
		}
		n := c.summary.Counts
		if n[scheduler.Canceled]+n[lost] != 20 || !c.summary.Interrupted {
			t.Errorf("round %d: %v: %v", round, n, c.causes())
		}
	}
	leftAlone(t, f, 0)
}

// TestStopAmongHangingHosts stops hosts that hang in every stage.
func TestStopAmongHangingHosts(t *testing.T) {
	leaves(t)
	f, bad, _ := badFleet(t, 0, endless...)
	stops := make(chan struct{}, 1)
	req := ask(f, "true", bad...)
	req.ConnectTimeout, req.Stops = time.Hour, stops
	stopped := make(chan time.Time, 1)
	go func() {
		eventually(t, "all hosts to hang", func() bool {
			return f.Stats().Accepted == int64(len(bad)) && f.Must(t, faulty{fault: "hang-exec"}.name()).Stats().CommandsRun == 1
		})
		stopped <- time.Now()
		stops <- struct{}{}
	}()
	c := carry(t, req, newTold(), nil)
	if over := time.Since(<-stopped); over > time.Second+slack {
		t.Errorf("took %v to stop", over)
	}
	if n := c.summary.Counts[scheduler.Canceled]; n != len(bad) {
		t.Errorf("%d of %d canceled: %v", n, len(bad), c.causes())
	}
	leftAlone(t, f, 3)
}

// TestDeadlineOfTheRun ends a run whose hosts would go on.
func TestDeadlineOfTheRun(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 10, Prefix: "h"})
	req := ask(f, "sleep 1000", f.Hosts()...)
	req.Fanout, req.Deadline = 4, 2*time.Second
	c := carry(t, req, newTold(), light)
	if n := c.summary.Counts; n[scheduler.Canceled] != 4 || n[scheduler.Skipped] != 6 || !c.summary.Deadline {
		t.Errorf("%v, deadline %v: %v", n, c.summary.Deadline, c.causes())
	}
	if c.wall < 2*time.Second || c.wall > 3*time.Second+slack {
		t.Errorf("took %v", c.wall)
	}
}

// TestGivenUpUnsent has the deadline pass while commands wait to be sent: nobody
// has to look whether they still run.
func TestGivenUpUnsent(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{N: 3, Prefix: "h"})
	req := ask(f, "sleep 1000", f.Hosts()...)
	req.Deadline = time.Second
	req.Begun = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	c := carry(t, req, newTold(), nil)
	for host, res := range c.results {
		if res.Outcome != scheduler.Canceled || res.Kill != "" {
			t.Errorf("%s: %s, %q", host, res.Outcome, res.Kill)
		}
	}
	if s := f.Stats(); s.CommandsRun != 0 || len(c.results) != 3 {
		t.Errorf("%d commands ran, %d results", s.CommandsRun, len(c.results))
	}
}

// TestKillIsToldBesideRetries ends commands at their limit: what became of them on
// their hosts is told whether or not hosts may be tried again.
func TestKillIsToldBesideRetries(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{N: 2, Prefix: "h"})
	for _, times := range []int{0, 1} {
		req := ask(f, "sleep 1000", f.Hosts()...)
		req.Timeout = time.Second
		req.Retry = tasks.Retry{Times: times, Wait: time.Millisecond}
		c := carry(t, req, newTold(), nil)
		for host, res := range c.results {
			if res.Outcome != failed || res.Tries != 1 || res.Kill == "" {
				t.Errorf("with %d retries: %s: %s after %d tries, kill %q: %v", times, host, res.Outcome, res.Tries, res.Kill, res.Cause)
			}
		}
	}
}

// TestMaxFailInAnyOrder breaks runs off at a failure budget, with failures of
// all kinds in random order: none starts after the failure that was too many.
func TestMaxFailInAnyOrder(t *testing.T) {
	leaves(t)
	faults := map[string]lab.Fault{"down*": "refuse", "liar*": "wrong-key", "dies*": "cut=0", "deny*": "refuse-exec"}
	names := numbered("good", 30)
	for _, kind := range []string{"down", "liar", "dies", "deny", "fail"} {
		names = append(names, numbered(kind, 4)...)
	}
	f := sshtest.Lab(t, lab.Config{Names: names, Faults: faults, Shell: func(_ context.Context, c *lab.Command) lab.Exit {
		if c.Host.Name[:4] == "fail" {
			return lab.Exit{Status: 1}
		}
		return lab.Exit{}
	}})
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { failInOrder(t, f, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func failInOrder(t *testing.T, f *sshtest.Fleet, r *rand.Rand) {
	req := ask(f, "true", f.Hosts()...)
	r.Shuffle(len(req.Hosts), func(i, j int) { req.Hosts[i], req.Hosts[j] = req.Hosts[j], req.Hosts[i] })
	budget := r.IntN(12)
	req.Fanout = 1 + r.IntN(9)
	var err error
	if req.MaxFail, err = scheduler.ParseMaxFail(fmt.Sprint(budget)); err != nil {
		t.Fatal(err)
	}
	if req.Serial, err = scheduler.ParseSerial(fmt.Sprintf("%d,50%%", 1+r.IntN(10))); err != nil {
		t.Fatal(err)
	}
	s := newTold()
	failures, started, inFlight, tooMany := 0, 0, 0, -1
	s.onStarted = func(host string) {
		started++
		if tooMany >= 0 {
			t.Errorf("%s started after the budget was used up", host)
		}
	}
	s.onResult = func(res event.Result) {
		if res.Outcome == okay || res.Outcome == scheduler.Skipped {
			return
		}
		if failures++; failures == budget+1 {
			tooMany, inFlight = len(s.results), started-len(s.results)
		}
	}
	c := carry(t, req, s, light)
	if !c.summary.Halted || tooMany < 0 {
		t.Errorf("20 failures did not exceed a budget of %d", budget)
	}
	if failures > budget+1+inFlight || inFlight >= req.Fanout {
		t.Errorf("%d failures with a budget of %d and %d hosts in flight, fanout %d", failures, budget, inFlight, req.Fanout)
	}
	if n := c.summary.Counts; n[scheduler.Skipped] != 50-started || n[failed]+n[never]+n[lost] != failures {
		t.Errorf("%d started, %d failed, summary %v", started, failures, n)
	}
}

// TestPanicIsOneHostsFault has code that belongs to one host panic: a writer of
// its output, the check of its key, its transport.
func TestPanicIsOneHostsFault(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 20, Prefix: "web"})
	s := newTold()
	s.onOutput = func(o event.Output) {
		if o.Host == "web01" {
			panic("no paper")
		}
	}
	c := carry(t, ask(f, "hostname", f.Hosts()...), s, func(r *Run) {
		light(r)
		retarget(r, func(host string, target *sshpool.Target) {
			switch host {
			case "web02":
				target.HostKeys = panickyKeys{}
			case "web03":
				target.DialContext = func(context.Context, string, string) (net.Conn, error) { panic("no wire") }
			}
		})
	})
	for host, text := range map[string]string{"web01": "no paper", "web02": "no key", "web03": "no wire"} {
		res := c.results[host]
		if res.Outcome == okay || res.Cause.Kind != scheduler.KindInternal || !bytes.Contains([]byte(res.Cause.Text), []byte(text)) {
			t.Errorf("%s: %s, %v", host, res.Outcome, res.Cause)
		}
	}
	if n := c.summary.Counts[okay]; n != 17 {
		t.Errorf("%d of 17 others ok: %v", n, c.causes())
	}
	leftAlone(t, f, 0)
}

type panickyKeys struct{}

func (panickyKeys) Algorithms(string) []string                  { return nil }
func (panickyKeys) Check(string, net.Addr, ssh.PublicKey) error { panic(errors.New("no key")) }
