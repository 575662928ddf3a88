package sshpool

import (
	"slices"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// BenchmarkSupervise is what the supervisor costs a command on a kept connection
// to a real server, whose login shell is dash. The one is run after the other, so
// that both have the same machine, and what is told are medians: of the raw one,
// of what the supervised one takes more than the raw one beside it, and that as a
// share of the raw one.
func BenchmarkSupervise(b *testing.B) {
	for name, start := range realServers() {
		b.Run(name, func(b *testing.B) {
			s := start(b, sshtest.Shell("/bin/dash"))
			c := mustDial(b, realTarget(b, s))
			run := func(cmd Command) time.Duration {
				begin := time.Now()
				if _, err := c.Run(b.Context(), cmd); err != nil {
					b.Fatal(err)
				}
				return time.Since(begin)
			}
			var raw, more []time.Duration
			for b.Loop() {
				plain := run(Command{Text: "true"})
				raw = append(raw, plain)
				more = append(more, run(Command{Text: "true", Supervise: &Supervision{}})-plain)
			}
			slices.Sort(raw)
			slices.Sort(more)
			median, cost := raw[len(raw)/2], more[len(more)/2]
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(median.Microseconds())/1000, "ms-raw")
			b.ReportMetric(float64(cost.Microseconds())/1000, "ms-more")
			b.ReportMetric(float64(cost)/float64(median), "more/raw")
		})
	}
}
