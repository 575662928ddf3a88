package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"fleet/internal/engine"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// Request says which hosts to examine and how they are reached.
type Request struct {
	engine.Access
	Hosts    []*inventory.Host
	Fanout   int           // hosts at once, at least 1
	Limit    time.Duration // for each stage after the login; 0 means 10 s
	Deadline time.Duration // for all; 0: none
	// Stops asks to stop: the first value to examine nothing more, the second to
	// leave at once. May be nil.
	Stops <-chan struct{}
	// Progress is told how many hosts have begun and how many have ended. It is
	// called from one goroutine and must not block. May be nil.
	Progress func(begun, ended int)
}

const defaultLimit = 10 * time.Second

// Run examines the hosts. However they are, the error is nil: it tells of a
// request that cannot be carried out, or of a fault of fleet's own, beside the
// report of what was done by then.
func Run(ctx context.Context, req Request) (*Report, error) {
	if len(req.Hosts) == 0 {
		return nil, errors.New("no hosts to examine")
	}
	if req.Limit == 0 {
		req.Limit = defaultLimit
	}
	targets, err := req.Reach(ctx, asThemselves(req.Hosts))
	if err != nil {
		return nil, err
	}
	defer targets.Close()
	pool := sshpool.NewPool(sshpool.PoolConfig{Log: req.Log, IdleTimeout: -1})
	defer pool.Close()
	poller := sshpool.NewPoller(pool, targets.Target, req.Stops)
	defer poller.Close()
	w := &ward{req: req, targets: targets, pool: pool, files: make(map[string]*Host, len(req.Hosts)),
		turns: make(map[*sshpool.Conn]chan struct{})}
	report := &Report{}
	for _, h := range req.Hosts {
		file := newHost(h, targets)
		w.files[h.Name] = file
		report.Hosts = append(report.Hosts, file)
	}
	done, err := scheduler.Run(scheduler.Plan{
		Hosts: names(req.Hosts), Total: len(req.Hosts), Program: w.examine,
		Fanout: req.Fanout, Deadline: req.Deadline, Grace: graceTime, Observe: w.observe,
	}, poller)
	for _, unwritten := range targets.Unwritten() {
		if req.Warn != nil {
			req.Warn(unwritten.Error())
		}
	}
	report.Wall, report.Deadline, report.Interrupted = done.Wall, done.Deadline, done.Interrupted
	if err != nil {
		return report, fmt.Errorf("examine: %w", err)
	}
	return report, nil
}

// graceTime is how long a cancelled host's program may still clean up.
const graceTime = 2 * time.Second

// asThemselves are the hosts as their own login user meets them: what an
// inventory says about becoming another user is looked at, not done.
func asThemselves(hosts []*inventory.Host) []*inventory.Host {
	own := make([]*inventory.Host, len(hosts))
	for i, h := range hosts {
		c := *h
		c.Become, c.Shell = false, ""
		own[i] = &c
	}
	return own
}

func newHost(h *inventory.Host, targets *engine.Targets) *Host {
	file := &Host{Name: h.Name, State: Skipped, Via: []string{}, Problems: []Problem{}, become: wanted{h.Become, h.BecomeMethod}}
	if t, err := targets.Target(h.Name); err == nil {
		file.Address, file.Port, file.User = t.Address, t.Port, t.User
		for _, hop := range t.Jump {
			file.Via = append(file.Via, cmp.Or(hop.Name, hop.Address))
		}
	}
	return file
}

func names(hosts []*inventory.Host) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range hosts {
			if !yield(h.Name) {
				return
			}
		}
	}
}

// ward is one examination of many hosts.
type ward struct {
	req     Request
	targets *engine.Targets
	pool    *sshpool.Pool
	files   map[string]*Host // by name
	begun   int
	ended   int

	mu    sync.Mutex
	turns map[*sshpool.Conn]chan struct{} // for hosts that are the same one by other names
}

// examine is the program for one host.
func (w *ward) examine(r *scheduler.Remote) (any, error) {
	p := &patient{ward: w, h: w.files[r.Host()]}
	defer p.dismiss()
	if err := r.Do(p.connect, 0); err != nil {
		return nil, p.away(err)
	}
	if err := r.Do(p.takeTurn, 0); err != nil {
		return nil, err
	}
	for _, s := range stages {
		err := r.Do(func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, w.req.Limit)
			defer cancel()
			return s.do(p, ctx)
		}, 0)
		if err == nil {
			continue
		}
		if errors.Is(err, scheduler.ErrCanceled) {
			return nil, err
		}
		if p.conn.Err() != nil {
			return nil, p.away(err)
		}
		p.fails(s, err)
	}
	p.h.diagnose()
	return nil, nil
}

// observe notes how hosts end.
func (w *ward) observe(ev scheduler.Event) {
	switch ev.Kind {
	case scheduler.HostStart:
		w.begun++
	case scheduler.HostDone:
		w.ended++
		h := w.files[ev.Host]
		h.ended(ev.Outcome)
		if len(ev.Stack) > 0 && w.req.Log != nil {
			w.req.Log.Error("program panicked", "host", ev.Host, "stack", string(ev.Stack))
		}
		if h.State == Unreachable && len(h.Problems) == 0 && ev.Cause != nil {
			h.Problems = append(h.Problems, awayProblem(*ev.Cause, ""))
		}
	default:
		return
	}
	if w.req.Progress != nil {
		w.req.Progress(w.begun, w.ended)
	}
}
