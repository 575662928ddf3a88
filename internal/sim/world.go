package sim

import (
	"container/heap"
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"fleet/scheduler"
)

// Fault is what is wrong with a host.
type Fault int

const (
	Sound    Fault = iota
	Refusing       // no connection
	Silent         // connections are accepted and time out
	Flaky          // every other connection is refused
	Failing        // commands exit with 1 to 3
	Killing        // commands end by a signal
	Cutting        // the connection goes while a command runs
	Hanging        // commands take an hour
	Mixed          // each op has a fault of its own
	faults
)

// What a world's log says of an op's end.
const (
	FateOK          = "ok"
	FateExit        = "exit"
	FateSignal      = "signal"
	FateUnreachable = "unreachable"
	FateLost        = "lost"
	FateCanceled    = "canceled"
	FateInternal    = "internal"
)

// Entry is a line of the world's own log.
type Entry struct {
	At   time.Duration // from the start of the run
	What string        // submit, cancel, done, hold
	ID   scheduler.ID
	Host string
	Op   string
	Fate string        // of a done op
	Held time.Duration // of a hold
}

func (e Entry) String() string {
	return fmt.Sprintf("%v %s %s #%d %s %s %v", e.At, e.What, e.Host, e.ID, e.Op, e.Fate, e.Held)
}

// epoch is when every world begins.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// World is a Poller that plays a fleet on a clock of its own: time passes in
// Poll and in Hold, nowhere else.
type World struct {
	Logging bool
	options Options
	now     time.Time
	ops     map[scheduler.ID]*inFlight
	queue   queue
	seq     int
	stops   []time.Duration
	asked   bool // by Stop
	done    []scheduler.Completion
	log     []Entry
	links   map[string]link // by host; until its release
	beside  beside
}

// Link is what the function of a Use gets for a connection: the host's name.
type Link string

// link is the connection to a host.
type link struct {
	tries int
	up    bool
}

// inFlight is an op that has not completed.
type inFlight struct {
	id       scheduler.ID
	host     string
	op       scheduler.Op
	at       time.Time // when it completes
	seq      int
	slot     int // in the queue; -1 if it completes by itself never
	from     time.Time
	fate     string
	code     int
	canceled bool
	task     *task // of a Do or a Use
}

// NewWorld returns the world of some options.
func NewWorld(o Options) *World {
	return &World{
		options: o,
		now:     epoch,
		ops:     map[scheduler.ID]*inFlight{},
		stops:   o.Stops,
		links:   map[string]link{},
		beside:  newBeside(),
	}
}

// Now makes the world a scheduler.Clock.
func (w *World) Now() time.Time { return w.now }

// Log is what happened in the world, in order.
func (w *World) Log() []Entry { return w.log }

// Hold is a program that keeps the loop waiting.
func (w *World) Hold(host string, d time.Duration) {
	w.now = w.now.Add(d)
	w.note(Entry{What: "hold", Host: host, Held: d})
}

// Stop is the user who says stop.
func (w *World) Stop() { w.asked = true }

// Close ends what runs beside the loop.
func (w *World) Close() {
	for _, f := range w.ops {
		if f.task != nil {
			f.task.cancel()
			<-f.task.ended
		}
	}
}

func (w *World) note(e Entry) {
	if w.Logging {
		e.At = w.now.Sub(epoch)
		w.log = append(w.log, e)
	}
}

// Submit is the scheduler's.
func (w *World) Submit(id scheduler.ID, host string, op scheduler.Op) {
	f := &inFlight{id: id, host: host, op: op, slot: -1, from: w.now, fate: FateOK}
	w.ops[id] = f
	if w.Logging {
		w.note(Entry{What: "submit", ID: id, Host: host, Op: op.String()})
	}
	dice := rand.NewPCG(w.options.Seed, uint64(id))
	switch op := op.(type) {
	case scheduler.Stop:
		if len(w.stops) > 0 {
			w.schedule(f, max(0, epoch.Add(w.stops[0]).Sub(w.now)))
			w.stops = w.stops[1:]
		}
	case scheduler.Release:
		delete(w.links, host)
		w.schedule(f, 0)
	case scheduler.Do:
		f.task = w.beside.start(op.F)
		w.schedule(f, w.latency(dice, time.Second))
	case scheduler.Connect:
		w.schedule(f, w.connect(f, dice))
	case scheduler.Use:
		took := time.Duration(0)
		if !w.links[host].up {
			took = w.connect(f, dice)
		}
		if f.fate == FateOK {
			f.task = w.beside.start(func(ctx context.Context) error { return op.F(ctx, Link(host)) })
			took += w.latency(dice, time.Second)
		}
		w.schedule(f, took)
	case scheduler.Exec:
		took := time.Duration(0)
		if !w.links[host].up {
			took = w.connect(f, dice)
		}
		if f.fate == FateOK {
			took += w.execute(f, op.Command, dice)
		}
		w.schedule(f, took)
	default:
		f.fate = FateInternal
		w.schedule(f, 0)
	}
}

// latency is up to most, rounded to the world's tick.
func (w *World) latency(dice *rand.PCG, most time.Duration) time.Duration {
	return time.Duration(dice.Uint64() % uint64(most)).Truncate(w.options.Tick)
}

// connect decides on a connection; it returns how long that takes.
func (w *World) connect(f *inFlight, dice *rand.PCG) time.Duration {
	l := w.links[f.host]
	l.tries++
	took := w.latency(dice, 2*time.Second)
	switch fault := w.fault(f.host, dice); {
	case fault == Refusing, fault == Flaky && l.tries%2 == 1:
		f.fate, took = FateUnreachable, w.latency(dice, 100*time.Millisecond)
	case fault == Silent:
		f.fate, took = FateUnreachable, 10*time.Second
	default:
		l.up = true
	}
	w.links[f.host] = l
	return took
}

func (w *World) fault(host string, dice *rand.PCG) Fault {
	fault := w.options.Fault(host)
	if fault == Mixed {
		fault = Fault(dice.Uint64() % uint64(Mixed))
	}
	return fault
}

// execute decides on a command; it returns how long that takes.
func (w *World) execute(f *inFlight, command string, dice *rand.PCG) time.Duration {
	took := w.latency(dice, 8*time.Second)
	switch w.fault(f.host, dice) {
	case Failing:
		f.fate, f.code = FateExit, 1+int(dice.Uint64()%3)
	case Killing:
		f.fate = FateSignal
	case Cutting:
		f.fate = FateLost
	case Hanging:
		took = time.Hour
	}
	switch word, arg, _ := strings.Cut(command, " "); word {
	case "exit":
		f.fate = FateExit
		f.code, _ = strconv.Atoi(arg)
	case "sleep":
		seconds, _ := strconv.Atoi(arg)
		took = time.Duration(seconds) * time.Second
	}
	return took
}

// schedule lets an op complete by itself after d.
func (w *World) schedule(f *inFlight, d time.Duration) {
	w.seq++
	f.at, f.seq = w.now.Add(d), w.seq
	if f.slot < 0 {
		heap.Push(&w.queue, f)
	} else {
		heap.Fix(&w.queue, f.slot)
	}
}

// Cancel is the scheduler's. Most ops end at once, some take their time, some
// end as if nothing had been said, and some connections go.
func (w *World) Cancel(id scheduler.ID) {
	f := w.ops[id]
	w.note(Entry{What: "cancel", ID: id})
	if f == nil || f.canceled {
		return
	}
	f.canceled = true
	if f.task != nil {
		f.task.cancel()
		w.beside.unpark(f)
	}
	_, stop := f.op.(scheduler.Stop)
	_, release := f.op.(scheduler.Release)
	dice := rand.NewPCG(w.options.Seed, ^uint64(id))
	roll := dice.Uint64() % 100
	switch {
	case stop, w.options.Calm, f.task != nil:
		f.fate = FateCanceled
		w.schedule(f, 0)
	case release:
	case roll < 70:
		f.fate = FateCanceled
		w.schedule(f, 0)
	case roll < 80:
		f.fate = FateCanceled
		w.schedule(f, w.latency(dice, MaxDeaf))
	case roll < 90: // it ends as it would have, only sooner
		w.schedule(f, min(w.latency(dice, MaxDeaf), max(0, f.at.Sub(w.now))))
	default:
		if _, ok := f.op.(scheduler.Exec); ok && f.fate != FateUnreachable {
			f.fate = FateLost
		} else {
			f.fate = FateCanceled
		}
		w.schedule(f, w.latency(dice, MaxDeaf))
	}
}

// Poll is the scheduler's.
func (w *World) Poll(until time.Time) (time.Time, []scheduler.Completion) {
	w.done = w.done[:0]
	if w.asked {
		w.stopNow()
	}
	for {
		w.unpark()
		next := until
		if len(w.queue) > 0 && (until.IsZero() || w.queue[0].at.Before(until)) {
			next = w.queue[0].at
		}
		if (next.IsZero() || next.After(w.now)) && w.beside.undeclared() && w.beside.wait(next.IsZero()) {
			continue
		}
		if next.IsZero() {
			panic("sim: poll would wait for ever")
		}
		if next.After(w.now) {
			w.now = next
		}
		for len(w.queue) > 0 && !w.queue[0].at.After(w.now) {
			w.finish(heap.Pop(&w.queue).(*inFlight))
		}
		if len(w.done) > 0 || !until.IsZero() && !w.now.Before(until) {
			return w.now, w.done
		}
	}
}

// stopNow completes the Stop op in flight.
func (w *World) stopNow() {
	for _, f := range w.ops { // there is at most one
		if _, ok := f.op.(scheduler.Stop); ok {
			w.asked = false
			w.schedule(f, 0)
		}
	}
}

// finish completes an op whose time has come.
func (w *World) finish(f *inFlight) {
	f.slot = -1
	c := scheduler.Completion{ID: f.id}
	if f.task != nil {
		var ended bool
		if c.Err, ended = w.beside.result(f.task, f.canceled); !ended {
			w.beside.park(f)
			return
		}
		if c.Err == nil {
			f.fate = FateOK
		}
	} else {
		c.Value, c.Err = w.answer(f)
	}
	delete(w.ops, f.id)
	if w.Logging {
		w.note(Entry{What: "done", ID: f.id, Host: f.host, Op: f.op.String(), Fate: f.fate})
	}
	w.done = append(w.done, c)
}

// unpark queues what has ended beside the loop since.
func (w *World) unpark() {
	for _, f := range w.beside.ended() {
		w.schedule(f, 0)
	}
}

// answer is the completion of an op.
func (w *World) answer(f *inFlight) (any, error) {
	took := w.now.Sub(f.from)
	switch op := f.op.(type) {
	case scheduler.Connect:
		return scheduler.ConnectResult{Attempts: 1, Took: took}, failure(f.fate)
	case scheduler.Exec:
		res := scheduler.ExecResult{Took: took}
		switch f.fate {
		case FateOK, FateExit:
			res.HasExit, res.ExitCode = true, f.code
			res.StdoutBytes = write(op, f.host)
		case FateSignal:
			res.Signal = "KILL"
		case FateLost:
			res.StdoutBytes = write(op, f.host)
		}
		return res, failure(f.fate)
	}
	return nil, failure(f.fate)
}

// write is what a command says.
func write(op scheduler.Exec, host string) int64 {
	text, ok := strings.CutPrefix(op.Command, "echo ")
	if !ok {
		if op.Stdout == nil || op.Command == "true" {
			return 0
		}
		text = op.Command + " on " + host
	}
	if op.Stdout != nil {
		_, _ = op.Stdout.Write([]byte(text + "\n"))
	}
	return int64(len(text) + 1)
}

// failure is the error of a fate.
func failure(fate string) error {
	switch fate {
	case FateUnreachable:
		return &scheduler.Error{Outcome: scheduler.Unreachable, Cause: scheduler.Cause{Kind: scheduler.KindRefused, Stage: scheduler.StageTCP, Text: "connection refused"}}
	case FateLost:
		return &scheduler.Error{Outcome: scheduler.Lost, Cause: scheduler.Cause{Kind: scheduler.KindConnLost, Stage: scheduler.StageCommand, Text: "connection lost"}}
	case FateCanceled:
		return fmt.Errorf("op: %w", scheduler.ErrCanceled)
	case FateInternal:
		return &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{Kind: scheduler.KindInternal, Text: "op of an unknown type"}}
	}
	return nil
}

// queue is a heap of ops by time, then by order of scheduling.
type queue []*inFlight

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if c := q[i].at.Compare(q[j].at); c != 0 {
		return c < 0
	}
	return q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].slot, q[j].slot = i, j
}
func (q *queue) Push(x any) {
	f := x.(*inFlight)
	f.slot = len(*q)
	*q = append(*q, f)
}
func (q *queue) Pop() any {
	last := len(*q) - 1
	f := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	f.slot = -1
	return f
}
