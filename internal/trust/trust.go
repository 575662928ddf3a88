// Package trust tells what keys hosts show, and what known_hosts files say of
// them, so that people can decide whom to trust.
//
//	trust.go   Scan: from hosts to the keys that they show, one run of the scheduler
//	key.go     what one key is to known_hosts: known, new, changed, revoked, invalid
//	group.go   hosts that show the same key; keys that several servers share
//	approve.go keys that somebody vouches for, and writing them down
//	forget.go  taking hosts out of known_hosts
//
// Scan logs in nowhere. Its connections end before login and are counted, so that
// no server bans this client for them; see sshpool.Scanner.
package trust

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// Request says which hosts to ask for their keys, and how they are reached.
type Request struct {
	engine.Access
	Hosts    []*inventory.Host
	Types    []string // of keys, see Types; one connection each. Empty: the one that known_hosts wants
	Fanout   int      // hosts at once
	Deadline time.Duration
	// KnownFirst asks hosts first of which known_hosts holds something, else
	// they come last: some may be left out, see sshpool.Scanner.
	KnownFirst bool
	Stops      <-chan struct{} // see engine.Request
}

// Report is what a scan has found. Hosts that showed no key are in the events
// that its sink got.
type Report struct {
	Keys    []Key    // in the order of the hosts, then of the types asked for
	LeftOut []string // hosts not asked, as their server had enough connections
	// Unanswered are hosts that showed no key or not all types, those left out too.
	Unanswered []Unanswered
}

// Unanswered is a host that showed no key, and why.
type Unanswered struct {
	Host    string
	Outcome scheduler.Outcome
	Cause   scheduler.Cause
}

// Scan asks hosts for their keys. The sink gets the run's events but its Finish,
// which is the caller's. The error is about the request, not about hosts.
func Scan(ctx context.Context, req Request, sink event.Sink) (*Report, event.Summary, error) {
	reach, err := Reach(ctx, req.Access, req.Hosts)
	if err != nil {
		return nil, event.Summary{}, err
	}
	defer reach.Close()
	pool := sshpool.NewPool(sshpool.PoolConfig{Log: req.Log})
	defer pool.Close()
	poller := sshpool.NewPoller(pool, reach.Target, req.Stops)
	defer poller.Close()
	s := &scan{req: req, sink: sink, reach: reach, scanner: sshpool.NewScanner(pool), found: make(map[string][]Key)}
	names, err := s.order()
	if err != nil {
		return nil, event.Summary{}, err
	}
	run := event.Run{ID: ulid.Make().String(), Hosts: len(names), Time: time.Now()}
	sink.Start(run)
	report, err := scheduler.Run(scheduler.Plan{
		Hosts: slices.Values(names), Total: len(names), Program: s.program,
		Fanout: req.Fanout, Deadline: req.Deadline, Observe: s.observe,
	}, poller)
	summary := event.Summary{Run: run.ID, Counts: report.Counts, Wall: report.Wall, Interrupted: report.Interrupted}
	summary.Deadline = report.Deadline && !report.Interrupted
	if err != nil {
		return nil, summary, fmt.Errorf("scan: %w", err)
	}
	return s.report(), summary, nil
}

// Reach is how hosts are reached for their keys: strictly checked against
// known_hosts whatever else is said, and without keys of their own to log in by
// where no host on the way needs them.
func Reach(ctx context.Context, access engine.Access, hosts []*inventory.Host) (*engine.Targets, error) {
	access.HostKeys = hostkeys.Strict.String()
	bare := make([]*inventory.Host, len(hosts))
	for i, h := range hosts {
		bare[i] = h
		if len(h.Jump) == 0 && h.ProxyCommand == "" {
			c := *h
			c.Key, c.Certificate = nil, nil
			bare[i] = &c
		}
	}
	return access.Reach(ctx, bare)
}

// scan is a scan under way.
type scan struct {
	req     Request
	sink    event.Sink
	reach   *engine.Targets
	scanner *sshpool.Scanner
	silent  []Unanswered

	mu    sync.Mutex
	found map[string][]Key
	left  []string
}

// order gives the hosts' names in the order in which they are asked.
func (s *scan) order() ([]string, error) {
	var known, unknown []string
	for _, h := range s.req.Hosts {
		t, err := s.reach.Target(h.Name)
		if err != nil {
			return nil, fmt.Errorf("host %s: %w", h.Name, err)
		}
		if t.HostKeys.Algorithms(t.HostKeyAddr()) != nil {
			known = append(known, h.Name)
		} else {
			unknown = append(unknown, h.Name)
		}
	}
	if s.req.KnownFirst {
		return append(known, unknown...), nil
	}
	return append(unknown, known...), nil
}

// program asks one host, for each type of key in turn.
func (s *scan) program(r *scheduler.Remote) (any, error) {
	host := r.Host()
	return nil, r.Do(func(ctx context.Context) error {
		t, err := s.reach.Target(host)
		if err == nil {
			err = s.ask(ctx, host, t)
		}
		if errors.Is(err, sshpool.ErrScanBudget) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.left = append(s.left, host)
		}
		return err
	}, 0)
}

func (s *scan) ask(ctx context.Context, host string, t sshpool.Target) error {
	if len(s.req.Types) == 0 {
		shown, err := s.scanner.Key(ctx, t)
		if err == nil {
			s.add(host, judge(host, &t, shown, false))
		}
		return outcome(err)
	}
	missing := error(nil)
	for _, kind := range s.req.Types {
		one := t
		one.Algorithms.HostKeys = keyTypes[kind]
		shown, err := s.scanner.Key(ctx, one)
		var e *sshpool.Error
		switch {
		case err == nil:
			s.add(host, judge(host, &t, shown, true))
		case errors.As(err, &e) && e.Kind == sshpool.KindKexMismatch:
			missing = cmp.Or(missing, err)
		default:
			return outcome(err)
		}
	}
	if s.has(host) {
		return nil
	}
	return outcome(missing)
}

func (s *scan) add(host string, k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found[host] = append(s.found[host], k)
}

func (s *scan) has(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.found[host]) > 0
}

// outcome says what the error of a connection means for its host.
func outcome(err error) error {
	var e *sshpool.Error
	if err == nil || !errors.As(err, &e) {
		return err
	}
	o := &scheduler.Error{Outcome: scheduler.Unreachable, Err: err,
		Cause: scheduler.Cause{Kind: scheduler.Kind(e.Kind), Stage: scheduler.Stage(e.Stage), Text: e.Text}}
	if e.Kind == sshpool.KindCanceled {
		o.Outcome, o.Err = scheduler.Canceled, scheduler.ErrCanceled
	}
	return o
}

// observe passes the run's events on.
func (s *scan) observe(ev scheduler.Event) {
	switch ev.Kind {
	case scheduler.HostStart:
		s.sink.Started(ev.Host, ev.Time)
	case scheduler.HostDone:
		if ev.Cause != nil {
			s.silent = append(s.silent, Unanswered{ev.Host, ev.Outcome, *ev.Cause})
		}
		s.sink.Result(event.Result{Host: ev.Host, Outcome: ev.Outcome, Cause: ev.Cause, Time: ev.Time})
	}
}

// report puts together what was found.
func (s *scan) report() *Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &Report{Unanswered: s.silent, LeftOut: s.left}
	for _, h := range s.req.Hosts {
		r.Keys = append(r.Keys, s.found[h.Name]...)
	}
	return r
}
