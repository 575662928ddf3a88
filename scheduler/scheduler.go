package scheduler

import (
	"iter"
	"time"
)

// startsPerTurn bounds how many hosts start between two Polls, so that the
// loop hears the user even if no program ever parks.
const startsPerTurn = 1000

// past is an until that does not wait.
var past = time.Unix(0, 0)

// loop is the state of one run. See the package's contract.
type loop struct {
	plan   Plan
	poller Poller
	clock  Clock // the poller, if it is one
	report Report

	now      time.Time
	lastID   ID
	inflight map[ID]submitted
	timers   timers
	ready    bool // something is left to do without waiting

	nextHost func() (string, bool)
	ahead    string // the host drawn but not started
	drawn    bool   // ahead is one
	drained  bool   // Hosts has no more

	batches     batches
	gate        *Remote // between two batches; nil if none runs
	delay       timer   // until the next host may start
	nextStart   time.Time
	slow        stragglers
	first, last *Remote // programs alive, in the order of their start
	alive       int

	closed   string // why no more hosts start; empty while they may
	why      reason // why all hosts were cancelled
	stopID   ID     // the Stop op in flight, 0 if none
	stops    int
	begun    bool // the books are open
	leaving  bool // nothing is left but the Stop op
	over     bool // the books are closed
	deadline timer
	grace    timer

	outside string      // whose code is being called: see PanicError.In
	fault   *PanicError // the first one
	dead    bool        // the run was abandoned for it
}

// submitted is an op in flight: a host's, a host's Release, or a Stop.
type submitted struct {
	r  *Remote // nil for Stop
	op Op      // Release or Stop; nil for the program's own, which is r.inflight
}

// Run runs a plan over a poller until every host is accounted for. The error
// is about an invalid plan, and then nothing has happened; or it is a
// [*PanicError] of the plan's Hosts or Observe or of the poller, and then the
// report is complete as far as the hosts are known.
func Run(p Plan, poller Poller) (Report, error) {
	if err := p.check(); err != nil {
		return Report{}, err
	}
	next, stop := iter.Pull(p.Hosts)
	l := &loop{
		plan:     p,
		poller:   poller,
		report:   Report{Counts: make(map[Outcome]int, len(Outcomes))},
		inflight: make(map[ID]submitted),
		nextHost: next,
		batches:  batches{sizes: p.sizes()},
	}
	l.clock, _ = poller.(Clock)
	l.guard(l.run)
	for try := 0; !l.over && try < 4; try++ { // an observer may panic once more
		l.guard(l.abandon)
	}
	l.guard(stop)
	if l.fault != nil {
		return l.report, l.fault
	}
	return l.report, nil
}

// run is the loop.
func (l *loop) run() {
	l.stopID = l.submit("", submitted{op: Stop{}})
	done := l.poll(past)
	l.begin()
	if l.plan.Deadline > 0 {
		l.timers.set(&l.deadline, runDeadline, nil, l.now.Add(l.plan.Deadline))
	}
	for l.turn(done); l.alive > 0 || !l.finished(); l.turn(done) {
		done = l.poll(l.until())
	}
	l.skipRest()
	for l.stops < 2 && len(l.inflight) > 1 { // releases, beside the Stop op
		l.complete(l.poll(time.Time{}))
	}
	l.leaving = true
	if l.stopID != 0 {
		l.cancelOp(l.stopID)
	}
	for l.stops < 2 && len(l.inflight) > 0 {
		l.complete(l.poll(time.Time{}))
	}
	l.end()
}

// begin opens the books.
func (l *loop) begin() {
	l.begun = true
	l.report.Began = l.now
	l.emit(Event{Kind: RunStart, N: l.plan.Total})
}

// turn does what has become possible; see the package's contract for the order.
func (l *loop) turn(done []Completion) {
	l.ready = false
	stops := l.stops
	l.complete(done)
	if l.stops > stops {
		l.stopped()
	}
	for seq := l.timers.seq; ; {
		t := l.timers.pop(l.now, seq)
		if t == nil {
			break
		}
		l.fire(t)
	}
	l.start()
	l.tellStragglers()
}

// until is when the loop must wake up even if nothing completes.
func (l *loop) until() time.Time {
	if l.ready {
		return past
	}
	return l.timers.next()
}

// finished says that no host is left that may start.
func (l *loop) finished() bool {
	return l.closed != "" || !l.drawn && l.drained
}

func (l *loop) poll(until time.Time) []Completion {
	l.outside = "poller"
	now, done := l.poller.Poll(until)
	l.outside = ""
	if now.After(l.now) {
		l.now = now
	}
	return done
}

// submit hands an op to the poller.
func (l *loop) submit(host string, s submitted) ID {
	l.lastID++
	id := l.lastID
	op := s.op
	if op == nil {
		op = s.r.inflight.op
		s.r.id = id
	}
	l.inflight[id] = s
	l.outside = "poller"
	l.poller.Submit(id, host, op)
	l.outside = ""
	return id
}

func (l *loop) cancelOp(id ID) {
	l.outside = "poller"
	l.poller.Cancel(id)
	l.outside = ""
}

// complete resumes the programs whose ops have completed.
func (l *loop) complete(done []Completion) {
	for _, c := range done {
		s, ok := l.inflight[c.ID]
		if !ok {
			l.emit(Event{Kind: Unknown, ID: c.ID})
			continue
		}
		delete(l.inflight, c.ID)
		switch {
		case s.r == nil:
			l.stopCompleted(c.Err)
		case s.op != nil:
			l.trace(OpDone, s.r, c.ID, s.op, c)
		default:
			l.trace(OpDone, s.r, c.ID, s.r.inflight.op, c)
			l.timers.clear(&s.r.opTimer)
			s.r.id = 0
			l.resume(s.r, s.r.completed(c))
		}
	}
}

// start starts hosts as far as the plan allows now.
func (l *loop) start() {
	for started := 0; ; {
		if l.batches.open && l.alive == 0 && (l.batches.full() || l.closed != "" || !l.draw()) {
			l.batches.open = false
			l.emit(Event{Kind: BatchEnd, Batch: l.batches.number})
			l.openGate()
		}
		if l.gate != nil || l.closed != "" || l.batches.full() || l.alive >= l.plan.Fanout || !l.draw() {
			return
		}
		if l.plan.Delay > 0 && l.now.Before(l.nextStart) {
			l.timers.set(&l.delay, startDue, nil, l.nextStart)
			return
		}
		if started == startsPerTurn {
			l.ready = true
			return
		}
		if !l.batches.open {
			n := l.batches.begin()
			l.report.Batches++
			l.emit(Event{Kind: BatchStart, Batch: l.batches.number, N: n})
		}
		started++
		l.drawn = false
		l.nextStart = l.now.Add(l.plan.Delay)
		l.launch(l.ahead)
	}
}

// draw makes sure that a host is drawn from the plan, if there is one.
func (l *loop) draw() bool {
	if !l.drawn && !l.drained {
		l.guard(func() {
			l.outside = "hosts"
			l.ahead, l.drawn = l.nextHost()
			l.outside = ""
		})
		if l.drained = !l.drawn; l.fault != nil && l.fault.In == "hosts" {
			l.emit(Event{Kind: Fault, Err: l.fault})
		}
	}
	return l.drawn
}

// launch starts the program of one host.
func (l *loop) launch(host string) {
	l.batches.take()
	l.report.Hosts++
	l.report.Started++
	r := &Remote{loop: l, host: host, batch: l.batches.number}
	l.enlist(r)
	if l.plan.HostLimit > 0 {
		l.timers.set(&r.hostTimer, hostLimit, r, l.now.Add(l.plan.HostLimit))
	}
	l.emit(Event{Kind: HostStart, Host: host, Batch: r.batch})
	r.coroutine(l.plan.Program)
	l.resume(r, answer{})
}

// enlist takes a program into the list of those alive.
func (l *loop) enlist(r *Remote) {
	r.prev, r.began = l.last, l.now
	if l.last == nil {
		l.first = r
	} else {
		l.last.next = r
	}
	l.last = r
	l.alive++
	l.enlisted(r)
}

// delist takes it out.
func (l *loop) delist(r *Remote) {
	l.delisted(r)
	if r.prev == nil {
		l.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		l.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	l.alive--
	l.timers.clear(&r.opTimer)
	l.timers.clear(&r.hostTimer)
}

// resume gives a program its answer and serves what it asks for next.
func (l *loop) resume(r *Remote, a answer) {
	r.answer = a
	req, parked := l.step(r)
	if !parked || req.left {
		l.ended(r)
		return
	}
	r.inflight, r.limited, r.interrupted = req, false, false
	if d, ok := req.op.(sleep); ok {
		l.timers.set(&r.opTimer, sleepEnd, r, l.now.Add(max(0, time.Duration(d))))
		return
	}
	switch req.op.(type) {
	case Exec, Use:
		r.used, r.sent = true, true
	case Do:
	default:
		r.used = true
	}
	if req.limit > 0 {
		l.timers.set(&r.opTimer, opLimit, r, l.now.Add(req.limit))
	}
	l.trace(OpSubmit, r, l.lastID+1, req.op, Completion{})
	l.submit(r.host, submitted{r: r})
}

// ended accounts for a host whose program has come to its end.
func (l *loop) ended(r *Remote) {
	l.delist(r)
	outcome, cause := l.verdict(r)
	if r.gate {
		l.gateEnded(r, outcome, cause)
	} else {
		l.account(r, outcome, cause)
	}
	if r.used && l.stops < 2 && !l.dead {
		l.trace(OpSubmit, r, l.lastID+1, Release{}, Completion{})
		l.submit(r.host, submitted{r: r, op: Release{}})
	}
}

// account counts what became of a host.
func (l *loop) account(r *Remote, outcome Outcome, cause *Cause) {
	l.report.Counts[outcome]++
	l.emit(Event{Kind: HostDone, Host: r.host, Batch: r.batch,
		Outcome: outcome, Cause: cause, Value: r.end.value, Stack: r.end.stack})
	if outcome == OK {
		l.endedWell(r)
	}
	if n := l.report.failures(); !l.report.Halted && l.plan.MaxFail.Exceeded(n, l.plan.Total) {
		l.report.Halted = true
		l.close("failures exceed max-fail " + l.plan.MaxFail.String())
		l.emit(Event{Kind: Halt, N: n})
	}
}

// close lets no more hosts start. The first reason is the one that skipped
// hosts are told.
func (l *loop) close(why string) {
	if l.closed == "" {
		l.closed = why
	}
}

// skipRest accounts for the hosts that were never started.
func (l *loop) skipRest() {
	for l.draw() {
		l.drawn = false
		l.report.Hosts++
		l.report.Counts[Skipped]++
		cause := &Cause{Kind: KindCanceled, Stage: StageRun, Text: "not started: " + l.closed}
		l.emit(Event{Kind: HostDone, Host: l.ahead, Outcome: Skipped, Cause: cause})
	}
}

// end closes the books.
func (l *loop) end() {
	l.over = true
	l.report.Closed = l.closed
	l.report.Wall = l.now.Sub(l.report.Began)
	l.emit(Event{Kind: RunEnd, N: l.report.Hosts, Took: l.report.Wall})
}
