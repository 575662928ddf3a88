package scheduler

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestPercentiles compares with sorting.
func TestPercentiles(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var d durations
		var all []time.Duration
		for range 1 + r.IntN(300) {
			v := time.Duration(r.Int64N(1 << (1 + r.IntN(45))))
			d.add(v)
			all = append(all, v)
		}
		slices.Sort(all)
		for _, p := range []int{1, 50, 95, 100} {
			want := all[(len(all)*p+99)/100-1]
			if got := d.percentile(p); got < want || float64(got) > float64(want)*1.04 {
				t.Errorf("seed %d: p%d of %d is %v, want %v to 4 %% more", seed, p, len(all), got, want)
			}
		}
	}
}

func TestBuckets(t *testing.T) {
	last := -1
	for v := range uint64(1 << 16) {
		b := bucket(v)
		if b != last && b != last+1 || most(b) < v || v > 0 && bucket(most(b)) != b || bucket(most(b)+1) != b+1 {
			t.Fatalf("%d is in bucket %d, after %d; the most in it is %d", v, b, last, most(b))
		}
		last = b
	}
}
