package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"fleet/scheduler"
)

// Options are all that a run depends on.
type Options struct {
	Seed    uint64
	Hosts   int
	Unknown bool // the plan is not told how many hosts there are
	Fanout  int
	Serial  string // as scheduler.ParseSerial reads it
	Gate    Gate
	Delay   time.Duration // between starts; 0 is none
	Slow    string        // as scheduler.ParseStraggler reads it
	Cut     bool          // stragglers are cut
	MaxFail string        // as scheduler.ParseMaxFail reads it

	OpLimit, HostLimit, Deadline, Grace time.Duration // 0 is none

	Stops []time.Duration // when the user says stop, from the start
	// Faulty is how many of a hundred hosts have a fault; Calm worlds obey each
	// cancel at once.
	Faulty int
	Calm   bool
	// Tick rounds the latencies of the world, so that things happen together.
	Tick time.Duration
	// Kinds are the programs that hosts run, chosen by the host's name.
	Kinds []Kind
}

// MaxDeaf is the longest that an op takes to end after it was cancelled.
const MaxDeaf = 3 * time.Second

// FromSeed makes options of a seed.
func FromSeed(seed uint64) Options {
	r := rand.New(rand.NewPCG(seed, 1))
	o := Options{
		Seed:   seed,
		Hosts:  r.IntN(40),
		Fanout: 1 + r.IntN(12),
		Calm:   r.IntN(3) == 0,
		Faulty: []int{0, 10, 30, 100}[r.IntN(4)],
		Tick:   []time.Duration{time.Microsecond, 10 * time.Millisecond, time.Second}[r.IntN(3)],
	}
	if r.IntN(20) == 0 {
		o.Hosts = 300
	}
	maybe := func(one int, d time.Duration) time.Duration {
		if r.IntN(one) > 0 {
			return 0
		}
		return time.Duration(1 + r.Int64N(int64(d)))
	}
	o.OpLimit, o.HostLimit = maybe(2, 20*time.Second), maybe(3, time.Minute)
	o.Deadline, o.Grace = maybe(3, 2*time.Minute), maybe(2, 10*time.Second)
	o.Unknown = r.IntN(5) == 0
	o.Serial, o.MaxFail = o.sizes(r), o.budget(r)
	stop := time.Duration(r.Int64N(int64(40 * time.Second)))
	for range []int{0, 0, 0, 0, 1, 1, 2, 2, 3}[r.IntN(9)] {
		o.Stops = append(o.Stops, stop)
		stop += time.Duration(r.Int64N(int64(6 * time.Second)))
	}
	for k := range kinds {
		if r.IntN(3) > 0 {
			o.Kinds = append(o.Kinds, k)
		}
	}
	o.Kinds = append(o.Kinds, Command)
	o.rollout(rand.New(rand.NewPCG(seed, 2)))
	return o
}

// rollout has dice of its own, so that what they are for can grow.
func (o *Options) rollout(r *rand.Rand) {
	if r.IntN(2) == 0 {
		o.Gate = Gate(r.IntN(int(gates)))
	}
	if r.IntN(4) == 0 {
		o.Delay = time.Duration(1 + r.Int64N(int64(2*time.Second)))
	}
	o.Slow = []string{"", "", "2s", "6s", "p50x2", "p95x1.5"}[r.IntN(6)]
	o.Cut = r.IntN(2) == 0
}

func (o Options) sizes(r *rand.Rand) string {
	s := ""
	for i := range r.IntN(4) {
		if i > 0 {
			s += ","
		}
		s += strconv.Itoa(1 + r.IntN(15))
		if !o.Unknown && r.IntN(2) == 0 {
			s += "%"
		}
	}
	return s
}

func (o Options) budget(r *rand.Rand) string {
	switch r.IntN(4) {
	case 0:
		return strconv.Itoa(r.IntN(6))
	case 1:
		if !o.Unknown {
			return fmt.Sprintf("%d%%", r.IntN(40))
		}
	}
	return ""
}

// Host is the name of the i-th host, from 0.
func (o Options) Host(i int) string { return "h" + strconv.Itoa(i) }

// Kind is the program that a host runs.
func (o Options) Kind(host string) Kind {
	return o.Kinds[o.dice(host, 2)%uint64(len(o.Kinds))]
}

// Fault is what is wrong with a host.
func (o Options) Fault(host string) Fault {
	if int(o.dice(host, 3)%100) >= o.Faulty {
		return Sound
	}
	return Fault(1 + o.dice(host, 4)%uint64(faults-1))
}

// dice is a number that depends on the seed, the host and what it is for.
func (o Options) dice(host string, purpose uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(host))
	return rand.NewPCG(o.Seed^purpose<<56, h.Sum64()).Uint64()
}

// Plan is the run that the options ask for, over a world.
func (o Options) Plan(w *World) scheduler.Plan {
	p := scheduler.Plan{
		Total:     o.Hosts,
		Fanout:    o.Fanout,
		HostLimit: o.HostLimit,
		Deadline:  o.Deadline,
		Grace:     o.Grace,
		Program:   func(r *scheduler.Remote) (any, error) { return o.Kind(r.Host()).program(r, o, w) },
		Hosts: func(yield func(string) bool) {
			for i := range o.Hosts {
				if !yield(o.Host(i)) {
					return
				}
			}
		},
	}
	if o.Unknown {
		p.Total = -1
	}
	o.Gate.plan(&p, o)
	p.Delay = o.Delay
	var err error
	if p.Straggler, err = scheduler.ParseStraggler(o.Slow); err != nil {
		panic(err)
	}
	p.Straggler.Cut = o.Cut
	if p.Serial, err = scheduler.ParseSerial(o.Serial); err != nil {
		panic(err)
	}
	if p.MaxFail, err = scheduler.ParseMaxFail(o.MaxFail); err != nil {
		panic(err)
	}
	return p
}
