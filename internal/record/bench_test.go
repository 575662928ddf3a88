package record

import (
	"context"
	"fmt"
	"strings"
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
