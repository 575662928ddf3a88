package record

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

// BenchmarkRecord records results of 300 bytes that all differ, the way a run
// does: hosts begin, wait until that is durable, and end.
func BenchmarkRecord(b *testing.B) {
	for _, same := range []bool{false, true} {
		b.Run(fmt.Sprintf("same=%v", same), func(b *testing.B) {
			hosts := make([]string, b.N)
			for i := range hosts {
				hosts[i] = fmt.Sprintf("host%06d", i)
			}
			rec := New(Config{Dir: b.TempDir(), Kind: "run", Hosts: hosts})
			rec.Start(event.Run{ID: "01BENCH", Hosts: b.N, Time: time.Now()})
			b.ResetTimer()
			const fanout = 100
			for i, host := range hosts {
				rec.Started(host, time.Now())
				if i%fanout == fanout-1 || i == len(hosts)-1 {
					if err := rec.Begun(context.Background(), host); err != nil {
						b.Fatal(err)
					}
					for _, done := range hosts[i-i%fanout : i+1] {
						text := strings.Repeat("0123456789", 29)
						if !same {
							text += done
						}
						rec.Output(event.Output{Host: done, Stream: event.Stdout, Data: []byte(text), Time: time.Now()})
						rec.Result(event.Result{Host: done, Outcome: scheduler.OK, ExitCode: new(int), StdoutBytes: 300, Time: time.Now()})
					}
				}
			}
			if err := rec.Finish(event.Summary{}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkLong records what 100 hosts write at once, 3 MB each, the same or not.
func BenchmarkLong(b *testing.B) {
	const hosts, size, write = 100, 3 << 20, 32 << 10
	names := make([]string, hosts)
	for i := range names {
		names[i] = fmt.Sprintf("host%03d", i)
	}
	var log []byte
	for line := uint32(1); len(log) < size+hosts*97; line++ {
		log = fmt.Appendf(log, "%07d a line of a log, as it is %x\n", line, line*2654435761)
	}
	for _, same := range []bool{false, true} {
		b.Run(fmt.Sprintf("same=%v", same), func(b *testing.B) {
			b.SetBytes(hosts * size)
			for range b.N {
				rec := New(Config{Dir: b.TempDir(), Kind: "run", Hosts: names})
				rec.Start(event.Run{ID: "01BENCH", Hosts: hosts, Time: time.Now()})
				var writing sync.WaitGroup
				for i, name := range names {
					rec.Started(name, time.Now())
					text := log[:size]
					if !same {
						text = log[i*97:][:size]
					}
					writing.Go(func() {
						for n := 0; n < size; n += write {
							rec.Output(event.Output{Host: name, Stream: event.Stdout, Data: text[n:min(n+write, size)], Time: time.Now()})
						}
					})
				}
				writing.Wait()
				for _, name := range names {
					rec.Result(event.Result{Host: name, Outcome: scheduler.OK, ExitCode: new(int), StdoutBytes: size, Time: time.Now()})
				}
				if err := rec.Finish(event.Summary{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
