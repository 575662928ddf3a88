package scheduler

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Straggler says which programs are slow beside the others, and whether they
// are cut. The zero Straggler is nobody.
type Straggler struct {
	// After is for how long a program may run before it is a straggler.
	After time.Duration
	// Percent, where not 0, has that follow from the hosts that ended well:
	// Factor times the time within which Percent of a hundred of them did, at
	// least a second. It is known once stragglerSample hosts have ended well.
	Percent int
	Factor  float64
	// Cut ends stragglers as a host limit does; else they go on and are named.
	Cut bool
}

// stragglerSample is of how many hosts a percentile says anything.
const stragglerSample = 4

// leastStraggler is the least time that follows from a percentile.
const leastStraggler = time.Second

// ParseStraggler reads a duration ("30s"), or a percentile of the hosts that
// ended well and a factor: "p95x3" or "p95×3". An empty string is nobody.
func ParseStraggler(s string) (Straggler, error) {
	if s == "" {
		return Straggler{}, nil
	}
	wrong := func(why string) (Straggler, error) {
		return Straggler{}, fmt.Errorf("straggler-after %q: %s", s, why)
	}
	rest, percentile := strings.CutPrefix(s, "p")
	if !percentile {
		d, err := time.ParseDuration(s)
		switch {
		case err != nil:
			return wrong("neither a time such as 30s nor a percentile such as p95x3")
		case d <= 0:
			return wrong("not more than 0")
		}
		return Straggler{After: d}, nil
	}
	percent, factor, ok := strings.Cut(strings.Replace(rest, "×", "x", 1), "x")
	p, err := parseDigits(percent)
	if !ok || err != nil || p < 1 || p > 100 {
		return wrong("not a percentile such as p95x3")
	}
	f, err := strconv.ParseFloat(factor, 64)
	if err != nil || !(f >= 1 && f <= 1000) || strings.Trim(factor, "0123456789.") != "" {
		return wrong("not a factor from 1 to 1000")
	}
	return Straggler{Percent: p, Factor: f}, nil
}

// String is the rule as ParseStraggler reads it.
func (s Straggler) String() string {
	switch {
	case s.Percent > 0:
		return fmt.Sprintf("p%dx%s", s.Percent, strconv.FormatFloat(s.Factor, 'f', -1, 64))
	case s.After > 0:
		return short(s.After)
	}
	return ""
}

func (s Straggler) check() error {
	switch {
	case s.After < 0:
		return errors.New("straggler after " + short(s.After) + ": must not be negative")
	case s.Percent < 0 || s.Percent > 100 || s.Percent > 0 && !(s.Factor >= 1):
		return fmt.Errorf("straggler p%dx%v: not a percentile", s.Percent, s.Factor)
	}
	return nil
}

// stragglers finds slow programs. Those named are always the ones that began
// first, so next is all that must be remembered of who was.
type stragglers struct {
	timer timer
	times durations
	next  *Remote // the first program not named yet
	named int     // of those alive
	told  bool    // that nobody else is left, and no other has started since
}

// after is for how long a program may run, 0 while that is not known.
func (l *loop) stragglerAfter() time.Duration {
	rule, times := l.plan.Straggler, &l.slow.times
	switch {
	case rule.Percent == 0:
		return rule.After
	case times.n < stragglerSample:
		return 0
	}
	d := time.Duration(min(float64(times.percentile(rule.Percent))*rule.Factor, float64(1<<62)))
	step := 100 * time.Millisecond // so that stragglers of about the same time fold
	if d >= 10*time.Second {
		step = time.Second
	}
	return max(leastStraggler, d.Round(step))
}

// watch arms the timer for the oldest program that is not named.
func (l *loop) watch() {
	s := &l.slow
	after := l.stragglerAfter()
	if after == 0 || s.next == nil || s.next.gate {
		l.timers.clear(&s.timer)
		return
	}
	if at := s.next.began.Add(after); s.timer.slot == 0 || !at.Equal(s.timer.at) {
		l.timers.set(&s.timer, stragglerDue, nil, at)
	}
}

// nameStragglers names, and cuts, programs that have run for too long.
func (l *loop) nameStragglers() {
	s := &l.slow
	after := l.stragglerAfter()
	for r := s.next; r != nil && !r.gate && !r.began.Add(after).After(l.now); r = s.next {
		s.next = r.next
		s.named++
		r.slow = after
		l.emit(Event{Kind: StragglerFound, Host: r.host, Batch: r.batch, Took: after})
		if l.plan.Straggler.Cut && r.why == alive {
			l.timers.set(&r.hostTimer, hostGrace, r, l.now.Add(l.plan.Grace))
			l.cancel(r, byStraggler)
		}
	}
	l.watch()
}

// enlisted notes that a program has begun.
func (l *loop) enlisted(r *Remote) {
	if l.slow.next == nil {
		l.slow.next = r
		l.watch()
	}
	l.slow.told = false
}

// delisted notes that a program has ended, before it leaves the list.
func (l *loop) delisted(r *Remote) {
	s := &l.slow
	if r.slow > 0 {
		s.named--
	}
	if s.next == r {
		s.next = r.next
		l.watch()
	}
}

// endedWell takes the time of a host into the measure. It is taken anew when
// there are a sixteenth more times than there were.
func (l *loop) endedWell(r *Remote) {
	s := &l.slow
	if l.plan.Straggler.Percent == 0 {
		return
	}
	s.times.add(l.now.Sub(r.began))
	if n := s.times.n; n == stragglerSample || n >= s.times.asked+s.times.asked/16+1 {
		s.times.asked = n
		l.watch()
	}
}

// tellStragglers says so, once, when only stragglers are left to wait for.
func (l *loop) tellStragglers() {
	s := &l.slow
	if l.plan.Straggler.Cut || s.named == 0 || s.named < l.alive || s.told || l.why != alive || l.delay.slot > 0 {
		return
	}
	s.told = true
	l.emit(Event{Kind: OnlyStragglers, N: s.named})
}

// durations counts times in buckets that are 1/32 of their value wide, so that
// a percentile of any number of them is right within 3 %.
type durations struct {
	n, asked int
	buckets  map[int]int
	last     int // the highest bucket in use
}

const fineBits = 5

func (d *durations) add(t time.Duration) {
	if d.buckets == nil {
		d.buckets = make(map[int]int)
	}
	b := bucket(uint64(max(t, 0)))
	d.n++
	d.buckets[b]++
	d.last = max(d.last, b)
}

// bucket is the number of the bucket of v: its highest bits, and where they stand.
func bucket(v uint64) int {
	shift := max(0, bits.Len64(v)-fineBits-1)
	return shift<<fineBits + int(v>>shift)
}

// most is the largest value in a bucket.
func most(b int) uint64 {
	shift := max(0, b>>fineBits-1)
	return (uint64(b-shift<<fineBits)+1)<<shift - 1
}

// percentile is the time within which p of a hundred ended; rounded up.
func (d *durations) percentile(p int) time.Duration {
	want := (d.n*p + 99) / 100
	for b, seen := 0, 0; b <= d.last; b++ {
		if seen += d.buckets[b]; seen >= want {
			return time.Duration(most(b))
		}
	}
	return time.Duration(most(d.last))
}
