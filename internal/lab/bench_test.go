package lab

import (
	"context"
	"sync"
	"testing"
	"time"
)

// BenchmarkStart starts and closes a fleet; ns/host is the cost of one host.
func BenchmarkStart(b *testing.B) {
	const hosts = 1000
	for b.Loop() {
		l, err := Start(context.Background(), Config{N: hosts})
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/hosts, "ns/host")
}

// BenchmarkLogin connects, logs in, runs a command and closes, eight at once.
// The client, in the same process, takes about half of the time.
func BenchmarkLogin(b *testing.B) {
	for name, rtt := range map[string]time.Duration{"direct": 0, "rtt=1ms": time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			l := start(b, Config{N: 100, RTT: rtt})
			var all sync.WaitGroup
			slots := make(chan struct{}, 8)
			for i := range b.N {
				slots <- struct{}{}
				all.Go(func() {
					defer func() { <-slots }()
					c, err := tryDial(l, l.Hosts()[i%100], far)
					if err != nil {
						b.Error(err)
						return
					}
					defer c.Close()
					if got, err := output(b, c, "true"); got != "" || err != nil {
						b.Error(got, err)
					}
				})
			}
			all.Wait()
		})
	}
}

// BenchmarkBulk moves output of one command.
func BenchmarkBulk(b *testing.B) {
	l := start(b, Config{N: 1})
	c := dial(b, l, l.Hosts()[0])
	b.SetBytes(64 << 20)
	for b.Loop() {
		if got, err := output(b, c, "bytes 64M"); len(got) != 64<<20 || err != nil {
			b.Fatal(len(got), err)
		}
	}
}
