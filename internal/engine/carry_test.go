package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// ask makes a request for some hosts of a fleet.
func ask(f *sshtest.Fleet, command string, hosts ...*lab.Host) Request {
	req := Request{
		Command: command, Fanout: 200, MaxOutput: 1 << 20,
		Access: Access{ConnectTimeout: 5 * time.Second, User: f.User(), Keys: []string{f.KeyFile}, KnownHosts: []string{f.KnownHosts}},
	}
	req.Hosts = entries(hosts...)
	return req
}

// entries are the inventory entries of hosts.
func entries(hosts ...*lab.Host) []*inventory.Host {
	var list []*inventory.Host
	for _, h := range hosts {
		list = append(list, &inventory.Host{
			Name: h.Name, Settings: inventory.Settings{Address: h.Address, Port: h.Port},
		})
	}
	return list
}

// numbered gives the names first01, first02, ...
func numbered(first string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%05d", first, i+1)
	}
	return names
}

// retarget changes how some of the run's hosts are reached.
func retarget(r *Run, change func(host string, t *sshpool.Target)) {
	for name, target := range r.reach.byName {
		change(name, &target)
		r.reach.byName[name] = target
	}
}

// light makes all connections use the key exchange that costs least, for runs
// over many hosts that are about something else.
func light(r *Run) {
	retarget(r, func(_ string, t *sshpool.Target) {
		t.Algorithms.KeyExchanges = []string{ssh.KeyExchangeECDHP256}
	})
}

// told is a sink that keeps all it is told and notes what breaks the contract
// of a sink's caller.
type told struct {
	mu      sync.Mutex
	run     event.Run
	started map[string]time.Time
	results map[string]event.Result
	output  map[string]*[2]bytes.Buffer // stdout, stderr
	drop    bool                        // count output, do not keep it
	bytes   int64
	broken  []string

	next      event.Sink // is told the same, if not nil
	beforeEnd func()     // called when the run is over, before Finish

	onStarted func(host string)
	onOutput  func(event.Output)
	onResult  func(event.Result)
}

func newTold() *told {
	return &told{started: map[string]time.Time{}, results: map[string]event.Result{}, output: map[string]*[2]bytes.Buffer{}}
}

func (s *told) breach(format string, args ...any) {
	if len(s.broken) < 20 {
		s.broken = append(s.broken, fmt.Sprintf(format, args...))
	}
}

func (s *told) Start(r event.Run) {
	s.run = r
	if s.next != nil {
		s.next.Start(r)
	}
}

func (s *told) Started(host string, at time.Time) {
	s.mu.Lock()
	if _, twice := s.started[host]; twice {
		s.breach("%s started twice", host)
	}
	s.started[host] = at
	s.mu.Unlock()
	if s.onStarted != nil {
		s.onStarted(host)
	}
	if s.next != nil {
		s.next.Started(host, at)
	}
}

func (s *told) Output(o event.Output) {
	s.mu.Lock()
	if _, ok := s.started[o.Host]; !ok {
		s.breach("output of %s, which never started", o.Host)
	}
	if _, over := s.results[o.Host]; over {
		s.breach("output of %s after its result", o.Host)
	}
	s.bytes += int64(len(o.Data))
	if !s.drop {
		b := s.output[o.Host]
		if b == nil {
			b = new([2]bytes.Buffer)
			s.output[o.Host] = b
		}
		if o.Stream == event.Stderr {
			b[1].Write(o.Data)
		} else {
			b[0].Write(o.Data)
		}
	}
	s.mu.Unlock()
	if s.onOutput != nil {
		s.onOutput(o)
	}
	if s.next != nil {
		s.next.Output(o)
	}
}

func (s *told) Result(r event.Result) {
	s.mu.Lock()
	if _, twice := s.results[r.Host]; twice {
		s.breach("%s has two results", r.Host)
	}
	if (r.Cause == nil) != (r.Outcome == scheduler.OK) {
		s.breach("%s is %s with cause %v", r.Host, r.Outcome, r.Cause)
	}
	if _, ok := s.started[r.Host]; ok == (r.Outcome == scheduler.Skipped) {
		s.breach("%s is %s; it started: %v", r.Host, r.Outcome, ok)
	}
	s.results[r.Host] = r
	s.mu.Unlock()
	if s.onResult != nil {
		s.onResult(r)
	}
	if s.next != nil {
		s.next.Result(r)
	}
}

func (s *told) Finish(sum event.Summary) error {
	if s.next != nil {
		return s.next.Finish(sum)
	}
	return nil
}

func (s *told) stdout(host string) []byte { return s.stream(host, 0) }
func (s *told) stderr(host string) []byte { return s.stream(host, 1) }

func (s *told) stream(host string, i int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.output[host]; b != nil {
		return b[i].Bytes()
	}
	return nil
}

// carried is a run that is over.
type carried struct {
	*told
	summary event.Summary
	wall    time.Duration
}

// carry carries req out and checks what holds for every run. alter may change
// the prepared run.
func carry(t testing.TB, req Request, s *told, alter func(*Run)) carried {
	t.Helper()
	r, err := New(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if alter != nil {
		alter(r)
	}
	began := time.Now()
	sum, err := r.Run(s)
	wall := time.Since(began)
	if s.beforeEnd != nil {
		s.beforeEnd()
	}
	if ferr := s.Finish(sum); ferr != nil {
		t.Errorf("finish: %v", ferr)
	}
	if cerr := r.Close(); cerr != nil {
		t.Errorf("close: %v", cerr)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.broken {
		t.Errorf("told wrongly: %s", b)
	}
	counts := map[scheduler.Outcome]int{}
	for _, h := range req.Hosts {
		res, ok := s.results[h.Name]
		if !ok {
			t.Errorf("%s has no result", h.Name)
		}
		counts[res.Outcome]++
	}
	if len(s.results) != len(req.Hosts) {
		t.Errorf("%d results for %d hosts", len(s.results), len(req.Hosts))
	}
	for o, n := range sum.Counts {
		if counts[o] != n {
			t.Errorf("summary counts %d %s, the results %d", n, o, counts[o])
		}
		delete(counts, o)
	}
	for o, n := range counts {
		if n > 0 {
			t.Errorf("summary leaves out %d %s", n, o)
		}
	}
	return carried{s, sum, wall}
}

// eventually waits until done says yes.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("still waiting for: %s", what)
		}
	}
}

// leftAlone waits until no connection to the fleet is open but those to deaf
// hosts, which read nothing and so do not see the end of one.
func leftAlone(t testing.TB, f *sshtest.Fleet, deaf int64) {
	t.Helper()
	defer func() {
		for _, h := range f.Hosts() {
			if n := h.Stats().Open; n > 0 && t.Failed() {
				t.Logf("%s has %d connections open", h.Name, n)
			}
		}
	}()
	eventually(t, "the hosts to see the end of their connections", func() bool { return f.Stats().Open <= deaf })
}

// leaves checks at the test's end that goroutines and open files are back where
// they are now, before any lab was started.
func leaves(t testing.TB) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		eventually(t, fmt.Sprintf("%d goroutines and %d open files", goroutines, files), func() bool {
			return runtime.NumGoroutine() <= goroutines && openFiles(t) <= files
		})
	})
}

func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// causes counts the causes of hosts that are not ok, for messages.
func (c carried) causes() map[string]int {
	n := map[string]int{}
	for _, r := range c.results {
		if r.Cause != nil {
			n[string(r.Outcome)+" "+r.Cause.String()]++
		}
	}
	return n
}
