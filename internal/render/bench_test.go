package render

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/inventory"
	"fleet/scheduler"
)

// benchmark plays runs of hosts that write 300 bytes each, of which one in a
// hundred differs, and reports the time for one host: capture, output, result.
func benchmark(b *testing.B, mode string, hosts int, o Options) {
	o.Out, o.Err, o.Fold, o.TempDir = io.Discard, io.Discard, inventory.Fold, b.TempDir()
	names := make([]string, hosts)
	for i := range names {
		names[i] = fmt.Sprintf("web%06d", i)
	}
	text := []byte(strings.Repeat("Linux host 6.1.0 #1 SMP x86_64\n", 10)[:300])
	other := []byte("differs\n")
	zero := 0
	b.ReportAllocs()
	for b.Loop() {
		s, err := New(mode, o)
		if err != nil {
			b.Fatal(err)
		}
		store := output.NewStore(64<<20, b.TempDir())
		s.Start(event.Run{ID: runID, Command: "uname -a", Hosts: hosts, Time: noon})
		for i, name := range names {
			data := text
			if i%100 == 0 {
				data = other
			}
			s.Started(name, noon)
			out, errs := store.Capture(1<<20), store.Capture(1<<20)
			out.Write(data)
			s.Output(event.Output{Host: name, Stream: event.Stdout, Data: data, Time: noon})
			s.Result(event.Result{Host: name, Outcome: scheduler.OK, ExitCode: &zero, Time: noon, Stdout: out, Stderr: errs})
		}
		s.Finish(event.Summary{Run: runID, Counts: map[scheduler.Outcome]int{scheduler.OK: hosts}})
		store.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*hosts), "ns/host")
}

func BenchmarkModes(b *testing.B) {
	for _, mode := range Modes {
		for _, hosts := range []int{1000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", mode, hosts), func(b *testing.B) { benchmark(b, mode, hosts, Options{}) })
		}
	}
	b.Run("live-terminal/1000", func(b *testing.B) {
		benchmark(b, "live", 1000, Options{OutTerminal: true, Color: true})
	})
}

// The irregular case: all outputs differ, and all are shown.
func BenchmarkGroupAllDiffer(b *testing.B) {
	const hosts = 100_000
	for b.Loop() {
		s, _ := New("group", Options{Out: io.Discard, Err: io.Discard, Fold: inventory.Fold})
		store := output.NewStore(64<<20, b.TempDir())
		s.Start(event.Run{ID: runID, Hosts: hosts})
		for i := range hosts {
			out := store.Capture(1 << 20)
			fmt.Fprintf(writer{out}, "web%06d\n", i)
			s.Result(event.Result{Host: fmt.Sprintf("web%06d", i), Outcome: scheduler.OK, Stdout: out})
		}
		s.Finish(event.Summary{})
		store.Close()
	}
}

type writer struct{ c *output.Capture }

func (w writer) Write(p []byte) (int, error) { return w.c.Write(p), nil }
