package record

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"fleet/internal/event"
	"fleet/internal/redact"
)

// Limits of what a run waits for.
const (
	// gatherBegun is how long hosts that were begun wait at least for others to share
	// their commit, unless a command waits for it: much less than a connection takes.
	gatherBegun = 10 * time.Millisecond
	// mostGatherBegun is the longest, where connections take long.
	mostGatherBegun = 100 * time.Millisecond
	// gatherResults is how far commits of results are apart at least. Nobody waits
	// for them, and each writes pages all over the index of outputs, so fewer are
	// cheaper. A result that comes after a time without any is written at once.
	gatherResults = 200 * time.Millisecond
	// soon is what at once means: results that come together share a commit.
	soon = 5 * time.Millisecond
	// finishWait is how long the end of a run waits for its last commit.
	finishWait = 15 * time.Second
)

// gateWait is how long a command waits for the store to know of its host. It is
// met by a store that hangs only: else the commit takes less time than the
// connection. Tests wait less.
var gateWait = 10 * time.Second

// Config says what is recorded of a run beside its events, and where.
type Config struct {
	Dir      string // folder of the store, see Dir
	Kind     string
	Pattern  string
	Argv     []string
	WorkDir  string
	Environ  map[string]string
	User     string
	Machine  string // the controller
	Version  string
	RerunOf  string
	Detached bool
	// Hosts names the hosts of the run, by position. Results come for these, and
	// no others.
	Hosts   []string
	Secrets *redact.Set // what must not get into the store; may be nil
	// Warn tells the user that something is not recorded. It is called from a
	// goroutine of the recorder's, at most a few times. May be nil.
	Warn func(error)
	Keep Retention // what is let go of when the run has ended
	// Most is how many bytes the outputs of the run may take in the store, after
	// compression; 0 is no limit. Of what is beyond, the store has the beginning.
	Most int64
}

// UsualMost is Config.Most where nobody says otherwise.
const UsualMost = 512 << 20

// Recorder records one run. It takes the run's events as an event.Sink does,
// under the same rules, but that Output brings all that hosts write; it does not
// look at the captures of results. It does not wait for the disk, but in Begun and
// Finish, and in Output where much is waiting to be written. Make it with New;
// Close it at the end, also if the run never started.
type Recorder struct {
	cfg   Config
	pages atomic.Int64 // tests: a file of this many pages counts as a full disk

	lifeOf atomic.Pointer[life] // the writer's, once there is one

	stored  sums
	recent  *recent
	pending atomic.Int64 // bytes of output that wait for the writer
	tailDue atomic.Int64 // when tails are looked at: nanoseconds since 1970; 0: there are none

	followed  atomic.Int32 // followers
	followMu  sync.Mutex
	followers []*Follower // not to be changed, but replaced

	wake chan struct{} // has a token when due or ended has changed
	done chan struct{} // closed when the writer has ended

	mu      sync.Mutex
	queue   batch
	due     time.Time         // when hosts that were begun are to be written; zero: there are none
	restDue time.Time         // the same for all else in the queue
	places  map[string]*place // hosts that were started and have no result
	freed   chan struct{}     // closed, and made anew, when pending shrinks
	index   map[string]int    // positions by name; made when it is needed
	next    int               // the position that is likely to come next
	connect time.Duration     // how long a host has lately taken from its start until its command could be sent
	rested  time.Time         // when all else than hosts that were begun was written last
	inBatch int               // the position at which the next batch most likely begins
	started int               // hosts so far
	durable int               // of these the store knows the first so many
	changed chan struct{}     // closed, and made anew, when durable or open changes
	open    bool              // hosts are begun whether the store knows it or not
	ended   bool              // nothing more comes
	opened  chan struct{}     // closed when the store is open
	ready   chan struct{}     // closed when the store knows of the run
	broken  chan struct{}     // closed with the first error
	known   bool              // ready is closed
	warned  map[string]bool
	failed  error // the first error
}

// place is a host that was begun: its position in the run, its number among
// those that were started, and what it writes.
type place struct {
	pos, number int
	at          time.Time // when it was started
	tapes       [2]*tape  // nil as long as nothing came
}

// batch is what goes into one transaction.
type batch struct {
	run     *event.Run
	begun   []int // positions
	upTo    int   // what durable is afterwards
	marks   []mark
	pieces  []piece
	results []hostResult
	notes   []note
	end     *event.Summary
	there   []chan struct{} // to be closed when all before is in the store, if it can be
}

type hostResult struct {
	pos   int
	tapes [2]*tape // ended; nil for nothing
	event.Result
}

type note struct {
	at   time.Time
	text string
}

func (b *batch) empty() bool {
	return b.run == nil && len(b.begun) == 0 && len(b.pieces) == 0 && len(b.results) == 0 && len(b.notes) == 0 && len(b.marks) == 0 && b.end == nil && len(b.there) == 0
}

// maxResults bounds a transaction, so that a host that is to be begun does not
// wait long behind results.
const maxResults = 500

// New returns the recorder of a run, and begins to open the store meanwhile.
func New(cfg Config) *Recorder {
	if cfg.Secrets == nil {
		cfg.Secrets = &redact.Set{}
	}
	r := &Recorder{
		cfg:  cfg,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
		places: map[string]*place{}, changed: make(chan struct{}), freed: make(chan struct{}), ready: make(chan struct{}),
		opened: make(chan struct{}), broken: make(chan struct{}),
		warned: map[string]bool{}, recent: newRecent(),
	}
	go r.write()
	return r
}

// Start implements event.Sink.
func (r *Recorder) Start(run event.Run) {
	r.add(0, func(b *batch) { b.run = &run })
}

// Started implements event.Sink.
func (r *Recorder) Started(host string, _ time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pos, ok := r.position(host)
	if !ok || r.ended {
		return
	}
	r.started++
	r.places[host] = &place{pos: pos, number: r.started, at: time.Now()}
	r.queue.begun, r.queue.upTo = append(r.queue.begun, pos), r.started
	r.hurry(&r.due, min(max(gatherBegun, r.connect/3), mostGatherBegun))
}

// Result implements event.Sink.
func (r *Recorder) Result(res event.Result) {
	r.mu.Lock()
	pos, ok := r.position(res.Host)
	p := r.places[res.Host]
	delete(r.places, res.Host)
	many := len(r.queue.results) >= maxResults
	r.mu.Unlock()
	if !ok {
		return
	}
	wait := soon
	if many || r.pending.Load() > mostPending/4 {
		wait = 0
	}
	h := hostResult{pos: pos, Result: res}
	h.Stdout, h.Stderr = nil, nil
	if p != nil {
		for i, t := range p.tapes {
			if h.tapes[i] = t.end(); h.tapes[i] != nil {
				r.pending.Add(int64(len(h.tapes[i].held)))
			}
		}
	}
	r.add(wait, func(b *batch) { b.results = append(b.results, h) })
}

// Note records a line of fleet's own.
func (r *Recorder) Note(text string) {
	const most = 1000
	r.add(soon, func(b *batch) {
		if len(b.notes) < most {
			b.notes = append(b.notes, note{time.Now(), text})
		}
	})
}

// Finish implements event.Sink: it waits until all is written. Its error says
// that the record of the run is not whole; it was told to Warn before.
func (r *Recorder) Finish(s event.Summary) error {
	r.add(0, func(b *batch) { b.end = &s })
	return r.Close()
}

// Close writes what there is and waits for that. A second Close does nothing.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	signal(r.wake)
	late := time.NewTimer(finishWait)
	defer late.Stop()
	select {
	case <-r.done:
	case <-late.C:
		r.fail(errors.New("the last results are not written after " + finishWait.String()))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Begun returns when the store durably knows that the host was begun, or when it
// is clear that it never will: the error is that of ctx only.
func (r *Recorder) Begun(ctx context.Context, host string) error {
	var late <-chan time.Time
	for first := true; ; first = false {
		r.mu.Lock()
		p, ok := r.places[host]
		if ok && first {
			r.connect += (time.Since(p.at) - r.connect) / 8
		}
		passes, changed := !ok || r.open || r.durable >= p.number, r.changed
		if passes {
			r.mu.Unlock()
			return nil
		}
		r.hurry(&r.due, 0)
		r.mu.Unlock()
		if late == nil {
			timer := time.NewTimer(gateWait)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			r.giveUp(fmt.Errorf("no answer from the disk after %v", gateWait))
		}
	}
}

// Known says that the store has the run, if perhaps not all of it.
func (r *Recorder) Known() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known
}

// Opened waits until the store is open; the error says why it is not.
func (r *Recorder) Opened(ctx context.Context) error { return r.wait(ctx, r.opened) }

// Ready waits until the store durably knows of the run; the error says that it
// does not.
func (r *Recorder) Ready(ctx context.Context) error { return r.wait(ctx, r.ready) }

// wait waits until it happened, or nothing more does.
func (r *Recorder) wait(ctx context.Context, happened <-chan struct{}) error {
	select {
	case <-happened:
		return nil
	case <-r.broken:
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// add puts something into the queue, to be written after wait, or as much later as
// is gatherResults after what was written last; at once if wait is 0.
func (r *Recorder) add(wait time.Duration, put func(*batch)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		put(&r.queue)
		if wait > 0 {
			wait = max(wait, gatherResults-time.Since(r.rested))
		}
		r.hurry(&r.restDue, wait)
	}
}

// hurry has what is due then be due within wait. The caller holds mu.
func (r *Recorder) hurry(then *time.Time, wait time.Duration) {
	if due := time.Now().Add(wait); then.IsZero() || due.Before(*then) {
		*then = due
		signal(r.wake)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// position finds a host. Hosts come mostly in order. The caller holds mu.
func (r *Recorder) position(host string) (int, bool) {
	if p, ok := r.places[host]; ok {
		return p.pos, true
	}
	if r.next < len(r.cfg.Hosts) && r.cfg.Hosts[r.next] == host {
		r.next++
		return r.next - 1, true
	}
	pos, ok := r.indexed(host)
	if ok {
		r.next = pos + 1
	}
	return pos, ok
}

// indexed finds a host by name. The caller holds mu.
func (r *Recorder) indexed(host string) (int, bool) {
	if r.index == nil {
		r.index = make(map[string]int, len(r.cfg.Hosts))
		for i, name := range r.cfg.Hosts {
			r.index[name] = i
		}
	}
	pos, ok := r.index[host]
	return pos, ok
}

// fail tells an error, once, and remembers the first.
func (r *Recorder) fail(err error) {
	r.mu.Lock()
	told := r.warned[err.Error()] || len(r.warned) >= 3
	r.warned[err.Error()] = true
	if r.failed == nil {
		r.failed = err
		close(r.broken)
	}
	r.mu.Unlock()
	if !told && r.cfg.Warn != nil {
		r.cfg.Warn(err)
	}
}

// giveUp lets hosts be begun though the store does not know it.
func (r *Recorder) giveUp(err error) {
	r.mu.Lock()
	first := !r.open
	r.open = true
	if first {
		close(r.changed)
		r.changed = make(chan struct{})
	}
	r.mu.Unlock()
	if l := r.lifeOf.Load(); first && l != nil {
		go l.unsure() //nolint:errcheck // a disk that hangs may not answer this either
	}
	r.fail(err)
}

// committed says that the store knows the first n hosts that were started.
func (r *Recorder) committed(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known {
		r.known = true
		close(r.ready)
	}
	if n > r.durable {
		r.durable = n
		close(r.changed)
		r.changed = make(chan struct{})
	}
}
