package sshpool

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/scheduler"
)

// soak plays random ops on the hosts of a lab, one op a host at a time as the
// scheduler does, and cancels some of them at random.
type soak struct {
	t      *testing.T
	p      *Poller
	dice   *rand.Rand
	last   scheduler.ID
	flying map[scheduler.ID]int // the host of each op in flight
	doing  []scheduler.Op       // of each host, by number; nil: none
	ended  map[string]int       // how often ops ended in which way
}

func (s *soak) submit(host int) {
	var op scheduler.Op
	switch s.dice.IntN(8) {
	case 0, 1:
		op = scheduler.Connect{}
	case 2:
		op = scheduler.Release{}
	case 3:
		op = scheduler.Exec{Command: "sleep 60", Stdout: io.Discard}
	default:
		op = scheduler.Exec{Command: "bytes 10K", Stdout: io.Discard, Stderr: io.Discard}
	}
	s.last++
	s.flying[s.last], s.doing[host] = host, op
	s.p.Submit(s.last, fmt.Sprint("h", host), op)
}

// cancel cancels some op that was submitted lately, whatever has become of it.
func (s *soak) cancel() {
	if back := scheduler.ID(s.dice.IntN(100)); back < s.last {
		s.p.Cancel(s.last - back)
	}
}

func (s *soak) poll() {
	_, done := s.p.Poll(time.Now().Add(time.Minute))
	if len(done) == 0 {
		s.t.Fatalf("%d ops do not complete: %v", len(s.flying), s.flying)
	}
	for _, c := range done {
		host, ok := s.flying[c.ID]
		if !ok {
			s.t.Fatalf("op %d completed twice, or was never submitted", c.ID)
		}
		delete(s.flying, c.ID)
		op := s.doing[host]
		s.doing[host] = nil
		s.check(op, c)
	}
}

// check holds a completion to what may become of an op.
func (s *soak) check(op scheduler.Op, c scheduler.Completion) {
	var e *scheduler.Error
	switch {
	case c.Err == nil:
		if r, ok := c.Value.(scheduler.ExecResult); ok && !r.HasExit && r.Signal == "" {
			s.t.Errorf("%s ended well without a status", op)
		}
		s.ended["ok"]++
		return
	case !errors.As(c.Err, &e):
		s.t.Errorf("%s: an error without an outcome: %v", op, c.Err)
		return
	case e.Cause.Kind == scheduler.KindInternal:
		s.t.Errorf("%s: %v", op, e)
	case errors.Is(c.Err, scheduler.ErrCanceled) != (e.Cause.Kind == scheduler.KindCanceled):
		s.t.Errorf("%s: %+v wraps %v", op, e.Cause, e.Err)
	}
	if r, ok := c.Value.(scheduler.ExecResult); ok && r.HasExit && e.Outcome == scheduler.Unreachable {
		s.t.Errorf("%s: a status of a command that was not sent", op)
	}
	s.ended[string(e.Outcome)+" "+string(e.Cause.Kind)]++
}

// TestSoak completes each op exactly once, whatever hosts do and whenever it is
// cancelled, and leaves nothing behind. FLEET_SOAK makes it long.
func TestSoak(t *testing.T) {
	ops, hosts := 300, 40
	if os.Getenv("FLEET_SOAK") != "" {
		ops, hosts = 20000, 300
	}
	faults := []lab.Fault{"", "", "", "", "hang", "reset", "reset-n=1", "eof", "hang-kex", "hang-auth", "badkex", "http", "throttle",
		"refuse-channel", "hang-channel", "refuse-exec", "no-status", "cut=3", "max-sessions=1", "slow-auth=50ms", "refuse",
		"freeze", "freeze-after=3", "garbage", "hang-exec", "rekey-each=4K", "linger", "signal"}
	cfg := lab.Config{Names: []string{"jump"}, Faults: map[string]lab.Fault{}}
	for i := range hosts {
		name := fmt.Sprint("h", i)
		cfg.Names = append(cfg.Names, name)
		cfg.Faults[name] = faults[i%len(faults)]
	}
	w := newWorld(t, cfg)
	w.limits = Limits{Total: 500 * time.Millisecond}
	pool := NewPool(PoolConfig{})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	s := &soak{t: t, dice: rand.New(rand.NewPCG(seed, 0)), flying: map[scheduler.ID]int{}, doing: make([]scheduler.Op, hosts), ended: map[string]int{}}
	s.p = NewPoller(pool, func(host string) (Target, error) {
		target := w.target(t, host)
		target.KeepaliveInterval = 200 * time.Millisecond
		if host[len(host)-1] == '7' { // some are behind a jump host
			target.Jump = []Target{w.target(t, "jump")}
			target.Jump[0].Limits = Limits{}
		}
		return target, nil
	}, nil)
	for int(s.last) < ops {
		if host := s.dice.IntN(hosts); s.doing[host] == nil {
			s.submit(host)
			s.cancel()
		}
		if len(s.flying) >= hosts/2 {
			s.poll()
		}
	}
	for len(s.flying) > 0 {
		for id := range s.flying {
			s.p.Cancel(id)
		}
		s.poll()
	}
	t.Logf("%d ops: %v", s.last, s.ended)
	s.p.Close()
	pool.Close()
	pool.mu.Lock() // jump hosts are given back when the streams through them have ended
	if n := len(s.p.live) + len(s.p.hosts) + len(pool.entries) + len(pool.left); n != 0 {
		t.Errorf("%d ops, hosts or connections are still kept", n)
	}
	pool.mu.Unlock()
	stacks := make([]byte, 4<<20) // those of the lab's frozen hosts end with the lab
	for end := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		left := string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(left, "created by fleet/sshpool.") && !strings.Contains(left, "ssh.newClientTransport") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("goroutines are left: %s", left)
		}
	}
}
