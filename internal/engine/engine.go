// Package engine carries out one run: from a request (these hosts, this
// command) to a summary, telling a sink what happens on the way. The command
// line, and later the daemon and its workers, all run through here.
//
//	request.go   what can be asked for
//	access.go    what can be said about reaching hosts
//	targets.go   how each host is reached; resolve.go is how that comes about:
//	             flags over inventory over ssh_config, with login.go, policy.go,
//	             transport.go and hops.go; explain.go tells a user
//	engine.go    the run itself: scheduler, pool and sink put together
//	kept.go      connections that outlive a run
//	program.go   what is done on each host: a command, or other work
//	gate.go      what stands between the batches of a run; local.go: commands of this machine
//	results.go   from the scheduler's events to the sink's
package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// Run is one prepared run. Make it with New, carry it out once with Run, then Close it.
type Run struct {
	id     string
	req    Request
	reach  *Targets
	store  *output.Store
	pool   *sshpool.Pool
	poller *sshpool.Poller

	becomes map[string]*scheduler.Become // by host, of those whose command runs as another user
}

// New checks req and prepares its run: files are read and keys opened, asking
// for passphrases where needed; nothing is sent yet. An error is about req, not
// about a host.
func New(ctx context.Context, req Request) (*Run, error) {
	if len(req.Hosts) == 0 {
		return nil, errors.New("no hosts to run on")
	}
	r := &Run{id: ulid.Make().String(), req: req}
	var err error
	if r.becomes, err = req.Become.of(ctx, req.Hosts, inHome); err != nil {
		return nil, err
	}
	if err := req.Work.check(r.becomes); err != nil {
		return nil, err
	}
	if err := req.checkRaw(r.becomes); err != nil {
		return nil, err
	}
	reached := req.Hosts
	if h := req.Gate.Host; h != nil && !slices.ContainsFunc(reached, func(x *inventory.Host) bool { return x.Name == h.Name }) {
		reached = append(reached[:len(reached):len(reached)], h)
	}
	if kept := req.Kept; kept != nil {
		if err := kept.Reach(ctx, reached); err != nil {
			return nil, err
		}
		r.reach, r.pool = kept.targets, kept.pool
	} else {
		reach, err := req.Reach(ctx, reached)
		if err != nil {
			return nil, err
		}
		r.reach, r.pool = reach, sshpool.NewPool(sshpool.PoolConfig{Log: req.Log})
	}
	r.store = output.NewStore(outputMemory(len(req.Hosts)), "")
	r.poller = sshpool.NewPoller(r.pool, r.reach.Target, req.Stops)
	if req.Kept != nil {
		r.poller.Keep(forever)
	}
	if req.Begun != nil {
		r.poller.Before(req.Begun)
	}
	return r, nil
}

// outputMemory is how much output a run over so many hosts keeps in memory
// before it spills to disk.
func outputMemory(hosts int) int64 {
	const perHost, least, most = 1 << 20, 4 << 20, 64 << 20
	return min(max(perHost*int64(hosts), least), most)
}

// Close ends what is left of the run: kept output, and connections, but for
// those that its Request keeps. The results given to the sink cannot be read any
// more.
func (r *Run) Close() error {
	errs := []error{r.poller.Close(), r.store.Close()}
	if r.req.Kept == nil {
		errs = append(errs, r.pool.Close(), r.reach.Close())
	}
	return errors.Join(errs...)
}

// Run carries the run out and returns its summary; sink.Finish is left to the
// caller, who knows how long to wait for a slow reader, also after an error. The
// error is nil however the hosts end: it tells of a request that cannot be run,
// or of a fault of fleet's own beside the summary of what was done by then.
func (r *Run) Run(sink event.Sink) (event.Summary, error) {
	res := &results{sink: sink, store: r.store, limit: r.req.MaxOutput, keep: r.req.Keep, log: r.req.Log, open: map[string]*streams{}, jobs: map[string]*job{}}
	ro := newRollout(r, sink)
	plan := scheduler.Plan{
		Hosts:    r.hosts(),
		Total:    len(r.req.Hosts),
		Program:  r.program(res),
		Fanout:   r.req.Fanout,
		MaxFail:  r.req.MaxFail,
		Deadline: r.req.Deadline,
		Grace:    graceTime,
		Observe:  func(ev scheduler.Event) { ro.observe(ev); res.observe(ev) },
	}
	ro.plan(&plan)
	sink.Start(event.Run{ID: r.id, Command: r.req.Command, Hosts: len(r.req.Hosts), Time: time.Now(),
		Guarded: r.req.MaxFail != scheduler.Budget{} || r.req.Gate.set()})
	report, err := scheduler.Run(plan, r.poller)
	for _, err := range r.reach.Unwritten() {
		if r.req.Kept == nil || r.req.Kept.untold(err.Error()) {
			r.req.warn(err)
		}
	}
	summary := event.Summary{Run: r.id, Counts: report.Counts, Wall: report.Wall}
	switch { // of several, the one that the user did last
	case report.Interrupted:
		summary.Interrupted = true
	case report.Deadline:
		summary.Deadline = true
	case report.Halted && report.Counts[scheduler.Skipped] > 0:
		summary.Halted, summary.Refused = true, ro.halted(report) // else the budget was exceeded by the last hosts: nothing was stopped
	}
	if err != nil {
		return summary, fmt.Errorf("run: %w", err)
	}
	return summary, r.store.Err()
}

// graceTime is how long a cancelled host's program may still clean up.
const graceTime = 2 * time.Second

func (r *Run) hosts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, h := range r.req.Hosts {
			if !yield(h.Name) {
				return
			}
		}
	}
}
