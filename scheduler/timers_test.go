package scheduler

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestTimersAgainstSorting compares the heap with a sorted list under random
// setting, clearing and firing.
func TestTimersAgainstSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	base := time.Unix(1000, 0)
	var ts timers
	pool := make([]timer, 40)
	var armed []*timer
	drop := func(x *timer) { armed = slices.DeleteFunc(armed, func(y *timer) bool { return x == y }) }
	order := func(a, b *timer) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq)) }
	for step := range 100_000 {
		x := &pool[r.IntN(len(pool))]
		switch r.IntN(3) {
		case 0:
			drop(x)
			ts.set(x, sleepEnd, nil, base.Add(time.Duration(r.IntN(30))*time.Second))
			armed = append(armed, x)
		case 1:
			drop(x)
			ts.clear(x)
		case 2:
			now := base.Add(time.Duration(r.IntN(30)) * time.Second)
			slices.SortFunc(armed, order)
			var want *timer
			if len(armed) > 0 && !armed[0].at.After(now) {
				want = armed[0]
				drop(want)
			}
			if got := ts.pop(now, ts.seq); got != want {
				t.Fatalf("step %d: popped %+v, want %+v", step, got, want)
			}
		}
		if len(ts.heap) != len(armed) {
			t.Fatalf("step %d: %d armed, want %d", step, len(ts.heap), len(armed))
		}
	}
}
