package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"fleet/sshpool"
)

// SpreadWay is how files get from one host to another.
type SpreadWay string

// The ways of SpreadWay.
const (
	// SpreadKey has the host that has the file run ssh to the other, where a key that
	// was made for this one copy may do nothing but write one temporary file. It
	// stands in authorized_keys there while the copy runs.
	SpreadKey SpreadWay = "key"
	// SpreadAgent has it log in at the other with the key of this side, which is used
	// once, for that host alone.
	SpreadAgent SpreadWay = "agent"
	// SpreadRelay has this side read from the one and write to the other.
	SpreadRelay SpreadWay = "relay"
)

// SpreadWays are all of them.
var SpreadWays = []string{string(SpreadKey), string(SpreadAgent), string(SpreadRelay)}

// Spread has files of 8 MiB and more go to some hosts from here and to the others
// from a host that has them. What does not work goes from here.
type Spread struct {
	Seeds  int // hosts that get a file from here, at least 1
	Fanout int // hosts that one serves at once, at least 1
	By     SpreadWay

	stall time.Duration // instead of stallLimit, if not 0
}

// limit is how long no bytes may arrive before a copy, or a wait, is given up.
func (s *Spread) limit() time.Duration { return cmp.Or(s.stall, stallLimit) }

// spreadings are the files that are spread, by their names here.
type spreadings struct {
	mu   sync.Mutex
	open map[string]*spreading
}

// of gives what is known of one file.
func (s *spreadings) of(name string, how *Spread) *spreading {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[string]*spreading)
	}
	if s.open[name] == nil {
		s.open[name] = &spreading{how: how, plan: spreadPlan{seeds: how.Seeds, fanout: how.Fanout}, changed: make(chan struct{})}
	}
	return s.open[name]
}

// close lets all hosts go.
func (s *spreadings) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range s.open {
		sp.close()
	}
}

// spreading is one file on its way. The hosts' goroutines share it; what is
// decided is decided by the plan.
type spreading struct {
	how     *Spread
	mu      sync.Mutex
	plan    spreadPlan
	changed chan struct{} // closed, and made anew, when something was told to the plan
	alive   atomic.Int64  // when bytes of it last arrived anywhere, in nanoseconds
}

// tell tells the plan something.
func (s *spreading) tell(f func(p *spreadPlan)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.plan)
	close(s.changed)
	s.changed = make(chan struct{})
}

// arrived notes that bytes have arrived somewhere.
func (s *spreading) arrived() { s.alive.Store(time.Now().UnixNano()) }

// stallLimit is how long that is where nothing else was said.
const stallLimit = 30 * time.Second

// turn waits until a host may have the file. The error is that ctx has ended.
func (s *spreading) turn(ctx context.Context, t *tries) (turn, error) {
	began := time.Now()
	for {
		s.mu.Lock()
		next, changed := s.plan.next(t), s.changed
		s.mu.Unlock()
		if next.kind != turnWait {
			return next, nil
		}
		since := began
		if last := time.Unix(0, s.alive.Load()); last.After(since) {
			since = last
		}
		timer := time.NewTimer(max(time.Until(since.Add(s.how.limit())), 0) + time.Millisecond)
		select {
		case <-changed:
		case <-timer.C:
			last := time.Unix(0, s.alive.Load())
			t.late = time.Since(last) >= s.how.limit() && time.Since(began) >= s.how.limit()
		case <-ctx.Done():
			timer.Stop()
			return turn{}, over(ctx)
		}
		timer.Stop()
	}
}

// maxHolders is how many hosts are kept connected to serve others.
const maxHolders = 64

// offer has the host serve others, if it can be kept connected.
func (s *spreading) offer(ctx context.Context, d *pushing, path string) {
	s.mu.Lock()
	full := 0
	for _, h := range s.plan.holders {
		if h.gone == "" {
			full++
		}
	}
	s.mu.Unlock()
	if full >= maxHolders || d.show.Hold == nil || d.far.sftp != nil && d.Spread.By != SpreadRelay {
		s.tell(func(*spreadPlan) {})
		return
	}
	conn, release, err := d.show.Hold(ctx)
	if err != nil {
		s.tell(func(*spreadPlan) {})
		return
	}
	h := &holder{host: d.host, path: path, far: &holding{conn: conn, release: release, loan: &sshpool.KeyLoan{}}}
	s.tell(func(p *spreadPlan) { p.holds(h) })
}

func (s *spreading) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.plan.holders {
		h.far.close()
	}
	s.plan.holders = nil
}

// putFile puts one large file on the host: from here, or where that is asked for,
// from a host that has it.
func (d *pushing) putFile(ctx context.Context, files *sshpool.Files, src *sshpool.Source, name string, o sshpool.PutOptions) (sshpool.Transfer, error) {
	if d.Spread == nil {
		return files.Put(ctx, src, name, o)
	}
	s := d.spread.of(src.Name(), d.Spread)
	told := o.Progress
	o.Progress = func(n int64) {
		s.arrived()
		told(n)
	}
	var t tries
	if d.far.sftp != nil && d.Spread.By != SpreadRelay {
		t.final, t.why = true, "it runs no commands"
	}
	for {
		next, err := s.turn(ctx, &t)
		if err != nil {
			return sshpool.Transfer{}, err
		}
		if next.kind == turnFrom {
			res, again, err := d.copyFrom(ctx, s, &t, next.from, files, src, name, o)
			if again {
				continue
			}
			if err == nil {
				d.did.From = next.from.host
				s.offer(ctx, d, name)
			}
			return res, err
		}
		res, err := files.Put(ctx, src, name, o)
		d.did.Direct = next.why
		if err == nil {
			s.offer(ctx, d, name)
		}
		if next.kind == turnSeed {
			d.did.Seed = err == nil
			s.tell(func(p *spreadPlan) { p.seed(err == nil) })
		}
		return res, err
	}
}

// copyFault is why a host could not get the file from another.
type copyFault struct {
	at   fault
	text string // names the host that has it where it is that one's
}

func (f *copyFault) Error() string { return f.text }

func faulty(at fault, format string, args ...any) *copyFault {
	return &copyFault{at, fmt.Sprintf(format, args...)}
}

// copyFrom has the host get the file from a holder. Again says that it has not
// got it and may look for another way; else the error is the host's own.
func (d *pushing) copyFrom(ctx context.Context, s *spreading, t *tries, h *holder, files *sshpool.Files, src *sshpool.Source, name string, o sshpool.PutOptions) (res sshpool.Transfer, again bool, err error) {
	var why *copyFault
	came := int64(0)
	c := &copying{d: d, from: h, files: files, size: src.Size(), rates: o.Rates, progress: func(n int64) {
		came += n
		o.Progress(n)
	}}
	o.Fill = func(ctx context.Context, temp string) error {
		err := c.fill(ctx, temp)
		if err != nil && !errors.As(err, &why) {
			return err
		}
		if why != nil {
			return why
		}
		return nil
	}
	res, err = files.Put(ctx, src, name, o)
	var e *sshpool.Error
	switch {
	case err == nil:
	case ctx.Err() != nil:
		s.tell(func(p *spreadPlan) { p.served(t, h, faultLeft, "") })
		return res, false, err
	case why != nil:
	case errors.As(err, &e) && e.Kind == sshpool.KindMismatch:
		why = faulty(faultSeed, "what came from %s was not what was sent there", h.host)
	default: // the file came, and something else went wrong
		s.tell(func(p *spreadPlan) { p.served(t, h, faultLeft, "") })
		return res, false, err
	}
	if why == nil {
		s.tell(func(p *spreadPlan) { p.served(t, h, faultNone, "") })
		return res, false, nil
	}
	o.Progress(-came)
	s.tell(func(p *spreadPlan) { p.served(t, h, why.at, why.text) })
	return res, true, nil
}

// offerThere has the host serve others with large files that it has already.
func (d *pushing) offerThere(ctx context.Context) {
	if d.Spread == nil || d.DryRun || d.far.become != nil {
		return
	}
	for _, e := range d.plan.same {
		if e.local != "" && e.content == nil && e.Kind == File && e.Size >= aloneSize {
			s := d.spread.of(e.local, d.Spread)
			s.offer(ctx, d, path.Join(d.plan.base, e.Path))
			s.tell(func(p *spreadPlan) { p.seeded++ }) // as good as one
		}
	}
}

// unspread notes why nothing was spread of what was sent.
func (d *pushing) unspread() {
	switch {
	case d.Spread == nil || d.did.Sent == 0:
	case d.far.become != nil:
		d.did.Direct = "files that are written as another user are not spread"
	case d.AtomicDir:
		d.did.Direct = "folders that are exchanged whole are not spread"
	case d.loneFile() == nil:
		d.did.Direct = "only single files of 8 MiB and more are spread"
	default:
		d.did.Direct = "it has no SFTP"
	}
}
