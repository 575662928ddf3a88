package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// contender is one side of a comparison.
type contender struct {
	name string
	run  func(ctx context.Context) (usage, error)
}

// series is what one contender cost, round by round.
type series []usage

// turns lets the contenders run in turn, A B A B, n times after one round to
// warm up, so that what else the machine does hits all of them alike.
func turns(ctx context.Context, n int, contenders ...contender) ([]series, error) {
	all := make([]series, len(contenders))
	for round := -1; round < n; round++ {
		for i, c := range contenders {
			u, err := c.run(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round >= 0 {
				all[i] = append(all[i], u)
			}
		}
	}
	return all, nil
}

func wall(u usage) float64 { return u.wall.Seconds() }
func cpu(u usage) float64  { return u.cpu.Seconds() }
func rss(u usage) float64  { return float64(u.rss) }

func (s series) each(of func(usage) float64) []float64 {
	var v []float64
	for _, u := range s {
		v = append(v, of(u))
	}
	return v
}

func (s series) median(of func(usage) float64) float64 { return median(s.each(of)) }

func (s series) wall() time.Duration { return seconds(s.median(wall)) }
func (s series) rss() int64          { return int64(s.median(rss)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func median[T cmp.Ordered](v []T) T {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// ratio is a figure of one contender over that of another.
type ratio struct{ median, min, max float64 }

// over compares two series round by round: neighbours in time saw the same
// machine.
func over(a, b series, of func(usage) float64) ratio {
	return spread(a.each(of), b.each(of))
}

func spread(a, b []float64) ratio {
	var r []float64
	for i := range a {
		r = append(r, a[i]/b[i])
	}
	return ratio{median(r), slices.Min(r), slices.Max(r)}
}

func (r ratio) String() string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", r.median, r.min, r.max)
}
