package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/tasks"
)

// Gate is what stands between two batches of a run. Of its parts those that are
// set come in this order, and the next batch begins only when all are content.
type Gate struct {
	// Canary, if above 0, has the first batch be of so many hosts, before the
	// sizes of Request.Serial (or all the others). Unless the request has a
	// MaxFail, all of them must be ok.
	Canary int
	// Pause is waited for.
	Pause time.Duration
	// Command must exit with 0 within Limit. It runs here, or on Host, which may
	// be any host of the inventory. Here its environment tells of the run.
	Command string
	Host    *inventory.Host
	Limit   time.Duration
	// Ask must say yes to the question. It returns when its context ends.
	Ask func(ctx context.Context, question string) (bool, error)
}

// set says that something stands between two batches.
func (g *Gate) set() bool {
	return g.Canary > 0 || g.Pause > 0 || g.Command != "" || g.Ask != nil
}

// rollout is the progress of a run in batches. It is of the run's loop.
type rollout struct {
	run     *Run
	sink    event.MarkSink // nil: nobody wants to know
	sizes   []scheduler.Batch
	batches int                       // there will be
	begun   int                       // batches
	drawn   int                       // hosts of the batches begun
	from    int                       // the first host of the batch that began last
	counts  map[scheduler.Outcome]int // of hosts that are done
	slow    []string                  // stragglers that run
	after   time.Duration             // when the last of them became one
	refused event.GateKind            // what halted the run
}

func newRollout(r *Run, sink event.Sink) *rollout {
	ro := &rollout{run: r, sizes: r.req.sizes(), counts: map[scheduler.Outcome]int{}}
	ro.sink, _ = sink.(event.MarkSink)
	if len(ro.sizes) > 0 {
		ro.batches = len(r.req.Batches())
	}
	return ro
}

// sizes are the sizes of the batches, the canary's first; empty for one of all.
func (r *Request) sizes() []scheduler.Batch {
	if r.Gate.Canary == 0 {
		return r.Serial
	}
	first, _ := scheduler.ParseSerial(strconv.Itoa(r.Gate.Canary)) // a positive number is a size
	rest := r.Serial
	if len(rest) == 0 {
		rest, _ = scheduler.ParseSerial("100%")
	}
	return append(first, rest...)
}

// Batches are the hosts in the batches in which they will run.
func (r *Request) Batches() (batches [][]*inventory.Host) {
	sizes, left := r.sizes(), r.Hosts
	if len(sizes) == 0 {
		return [][]*inventory.Host{left}
	}
	for n := 0; len(left) > 0; n++ {
		size := min(sizes[min(n, len(sizes)-1)].Size(len(r.Hosts)), len(left))
		batches = append(batches, left[:size])
		left = left[size:]
	}
	return batches
}

// plan puts batches, gate and stragglers into a plan.
func (ro *rollout) plan(p *scheduler.Plan) {
	req := &ro.run.req
	p.Serial, p.Delay, p.Straggler = ro.sizes, req.Delay, req.Straggler
	if !req.Gate.set() {
		return
	}
	p.Gate = ro.gate
	if req.Gate.Host != nil {
		p.GateHost = req.Gate.Host.Name
	}
}

// observe counts, and marks what is of no single host.
func (ro *rollout) observe(ev scheduler.Event) {
	switch ev.Kind {
	case scheduler.BatchStart:
		if ro.begun = ev.Batch; ev.N < 0 {
			return // no batches: all hosts
		}
		ro.from = ro.drawn
		ro.drawn = min(ro.from+ev.N, len(ro.run.req.Hosts))
		ro.mark(event.Mark{Kind: event.BatchBegan, Hosts: ro.names(ro.from, ro.drawn), Time: ev.Time})
	case scheduler.HostDone:
		ro.counts[ev.Outcome]++
		for i, name := range ro.slow {
			if name == ev.Host {
				ro.slow = append(ro.slow[:i:i], ro.slow[i+1:]...)
				break
			}
		}
	case scheduler.StragglerFound:
		ro.slow, ro.after = append(ro.slow, ev.Host), ev.Took
	case scheduler.OnlyStragglers:
		ro.mark(event.Mark{Kind: event.StragglersLeft, Hosts: append([]string(nil), ro.slow...), Took: ro.after, Time: ev.Time})
	}
}

func (ro *rollout) mark(m event.Mark) {
	if ro.sink != nil {
		m.Batch, m.Batches = ro.begun, ro.batches
		ro.sink.Mark(m)
	}
}

func (ro *rollout) names(from, to int) []string {
	names := make([]string, 0, to-from)
	for _, h := range ro.run.req.Hosts[from:to] {
		names = append(names, h.Name)
	}
	return names
}

// halted is what halted the run if it was a gate; empty if it was the budget.
func (ro *rollout) halted(r scheduler.Report) event.GateKind {
	if r.Gate == nil {
		return ""
	}
	return ro.refused
}

// notOK counts the hosts done that are not ok.
func (ro *rollout) notOK() (n int) {
	for outcome, count := range ro.counts {
		if outcome != scheduler.OK {
			n += count
		}
	}
	return n
}

// gate is the program between two batches.
func (ro *rollout) gate(r *scheduler.Remote) (any, error) {
	g := &ro.run.req.Gate
	if n := ro.notOK(); g.Canary > 0 && r.Batch() == 1 && n > 0 && ro.run.req.MaxFail == (scheduler.Budget{}) {
		text := fmt.Sprintf("%d of %d in the canary not ok", n, ro.drawn)
		return nil, ro.part(r, event.GateCanary, "", nil, func() error { return refused(text) })
	}
	if g.Pause > 0 {
		if err := ro.part(r, event.GatePause, g.Pause.String(), nil, func() error { return r.Sleep(g.Pause) }); err != nil {
			return nil, err
		}
	}
	if g.Command != "" {
		var pass func([]byte)
		if sink, ok := ro.sink.(event.GateSink); ok {
			pass = sink.GateOutput
		}
		out := NewLastBytes(pass)
		do := func() error { return ro.local(r, out) }
		if g.Host != nil {
			do = func() error { return ro.remote(r, out) }
		}
		if err := ro.part(r, event.GateCommand, g.Command, out, do); err != nil {
			return nil, err
		}
	}
	if g.Ask == nil {
		return nil, nil
	}
	return nil, ro.part(r, event.GateAsk, "", nil, func() error { return ro.ask(r) })
}

// part is one part of the gate, told before and after.
func (ro *rollout) part(r *scheduler.Remote, kind event.GateKind, text string, out *LastBytes, do func() error) error {
	began, host := r.Now(), ""
	if h := ro.run.req.Gate.Host; h != nil && kind == event.GateCommand {
		host = h.Name
	}
	ro.mark(event.Mark{Kind: event.GateBegan, Gate: kind, Text: text, Host: host, Time: began})
	err := do()
	m := event.Mark{Kind: event.GateEnded, Gate: kind, Text: text, Host: host, Took: r.Now().Sub(began), Time: r.Now()}
	if out != nil {
		m.Output, m.Cut = out.End()
	}
	if err != nil {
		ro.refused = kind
		m.Cause = &scheduler.Cause{Kind: scheduler.KindInternal, Text: err.Error()}
		if e := (*scheduler.Error)(nil); errors.As(err, &e) {
			m.Cause = &e.Cause
		}
		if errors.Is(err, scheduler.ErrCanceled) && m.Cause.Kind != scheduler.KindTimeout {
			m.Cause = &scheduler.Cause{Kind: scheduler.KindCanceled, Stage: scheduler.StageRun, Text: "canceled"}
		}
	}
	ro.mark(m)
	return err
}

// refused is the error of a gate that says no.
func refused(text string) error {
	return &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{Kind: scheduler.KindExit, Stage: scheduler.StageCommand, Text: text}}
}

// local runs the gate's command here.
func (ro *rollout) local(r *scheduler.Remote, out io.Writer) error {
	g := &ro.run.req.Gate
	l := Local{Line: g.Command, Env: ro.env(), Limit: g.Limit, Out: out}
	return r.Do(func(ctx context.Context) error {
		err := l.Run(ctx)
		if err != nil && ctx.Err() == nil {
			return refused(err.Error())
		}
		return err
	}, 0) // the limit is in l, which waits for the command's end
}

// remote runs it on the gate's host.
func (ro *rollout) remote(r *scheduler.Remote, out io.Writer) error {
	if _, err := r.Connect(); err != nil {
		return err
	}
	g := &ro.run.req.Gate
	env, err := tasks.Environment(ro.env())
	if err != nil {
		return err
	}
	res, err := r.Exec(scheduler.Exec{Command: g.Command, Payload: env, Stdout: out, Stderr: out}, g.Limit)
	if err != nil {
		return err
	}
	return tasks.Ended(res)
}

// ask asks somebody.
func (ro *rollout) ask(r *scheduler.Remote) error {
	req := &ro.run.req
	next := min(ro.drawn+ro.sizes[min(ro.begun, len(ro.sizes)-1)].Size(len(req.Hosts)), len(req.Hosts))
	question := fmt.Sprintf("batch %d of %d is done (%s); go on with %s?", ro.begun, ro.batches, ro.sofar(), inventory.Fold(ro.names(ro.drawn, next)))
	return r.Do(func(ctx context.Context) error {
		yes, err := req.Gate.Ask(ctx, question)
		if errors.Is(err, ErrInterrupted) {
			<-ctx.Done() // by the run's own stop, which may be a moment behind: it counts
		}
		switch {
		case err != nil:
			return err
		case !yes:
			return refused("the answer was no")
		}
		return nil
	}, 0)
}

// sofar is what became of the hosts up to now: "ok 3, failed 1".
func (ro *rollout) sofar() string {
	var fields []string
	for _, o := range scheduler.Outcomes {
		if n := ro.counts[o]; n > 0 {
			fields = append(fields, fmt.Sprintf("%s %d", o, n))
		}
	}
	return strings.Join(fields, ", ")
}

// env tells the gate's command of the run.
func (ro *rollout) env() []string {
	env := append(CountsEnv(ro.run.id, ro.counts),
		"FLEET_BATCH="+strconv.Itoa(ro.begun), "FLEET_BATCHES="+strconv.Itoa(ro.batches))
	// Linux takes no string of more than 128 KiB (execve(2), MAX_ARG_STRLEN).
	const longest = 100 << 10
	if hosts := inventory.Fold(ro.names(ro.from, ro.drawn)); len(hosts) < longest {
		env = append(env, "FLEET_HOSTS="+hosts)
	}
	return env
}

// CountsEnv is what a command beside a run is told of it in its environment:
// FLEET_RUN, and for each outcome how many hosts have it, FLEET_OK and so on.
func CountsEnv(run string, counts map[scheduler.Outcome]int) []string {
	env := []string{"FLEET_RUN=" + run}
	for _, o := range scheduler.Outcomes {
		env = append(env, fmt.Sprintf("FLEET_%s=%d", strings.ToUpper(string(o)), counts[o]))
	}
	return env
}
