package render

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/inventory"
	"fleet/scheduler"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got; -update writes it):\n%s", file, d)
	}
}

// buffer is a bytes.Buffer that may be written and read at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

func (b *buffer) String() string { return string(b.Bytes()) }

// noon is when all test runs begin.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const runID = "01JNKJ7V3G0000000000000000"

// host is what one host does in a played run.
type host struct {
	name           string
	stdout, stderr string
	outcome        scheduler.Outcome // ok if empty
	exit           int               // of ok and failed
	signal         string
	cause          scheduler.Cause
	truncated      bool
	unstored       bool
	lingering      bool
}

func (h host) outcomeOr() scheduler.Outcome {
	if h.outcome == "" {
		return scheduler.OK
	}
	return h.outcome
}

// result is what the engine reports of h, with captures of store.
func (h host) result(store *output.Store, at time.Time) event.Result {
	r := event.Result{
		Host: h.name, Outcome: h.outcomeOr(), Signal: h.signal,
		StdoutBytes: int64(len(h.stdout)), StderrBytes: int64(len(h.stderr)),
		Truncated: h.truncated || h.unstored, Unstored: h.unstored, Lingering: h.lingering,
		Time: at,
	}
	if r.Outcome != scheduler.Skipped {
		r.Attempts, r.Tries = 1, 1
	}
	if r.Outcome != scheduler.OK {
		cause := h.cause
		r.Cause = &cause
	}
	if r.Outcome != scheduler.Skipped && r.Outcome != scheduler.Unreachable {
		r.Connect, r.Run = 31*time.Millisecond, 4*time.Millisecond
	}
	ran := r.Outcome == scheduler.OK || r.Outcome == scheduler.Failed
	if ran && h.signal == "" {
		r.ExitCode = &h.exit
	}
	if ran || h.stdout != "" {
		r.Stdout, r.Stderr = store.Capture(-1), store.Capture(-1)
		r.Stdout.Write([]byte(h.stdout))
		r.Stderr.Write([]byte(h.stderr))
	}
	return r
}

// play sends a run of hosts through a sink and returns what Finish says.
func play(s event.Sink, store *output.Store, command string, hosts []host) error {
	s.Start(event.Run{ID: runID, Command: command, Hosts: len(hosts), Time: noon})
	sum := event.Summary{Run: runID, Counts: map[scheduler.Outcome]int{}, Wall: 812 * time.Millisecond}
	for i, h := range hosts {
		at := noon.Add(time.Duration(i) * time.Millisecond)
		s.Started(h.name, at)
		if h.stdout != "" {
			writes(s, event.Output{Host: h.name, Stream: event.Stdout, Data: []byte(h.stdout), Time: at})
		}
		if h.stderr != "" {
			writes(s, event.Output{Host: h.name, Stream: event.Stderr, Data: []byte(h.stderr), Time: at})
		}
		s.Result(h.result(store, at))
		sum.Counts[h.outcomeOr()]++
	}
	return s.Finish(sum)
}

// writes tells s of what a host wrote, all of which is shown.
func writes(s event.Sink, o event.Output) {
	if whole, ok := s.(event.WholeSink); ok {
		whole.Whole(o)
	}
	s.Output(o)
}

// playMarks sends a run in batches through a sink: marks come before the hosts
// of the same place in the list.
func playMarks(s Sink, store *output.Store, marks map[int][]event.Mark, hosts []host, sum event.Summary) error {
	s.Start(event.Run{ID: runID, Command: "deploy", Hosts: len(hosts), Time: noon, Guarded: true})
	sum.Run, sum.Counts, sum.Wall = runID, map[scheduler.Outcome]int{}, 812*time.Millisecond
	for i, h := range hosts {
		for _, m := range marks[i] {
			m.Time = noon
			if m.Kind == event.GateEnded {
				for p := range slices.Chunk(m.Output, 7) { // as it comes, in any pieces
					s.GateOutput(p)
				}
			}
			s.Mark(m)
		}
		if h.outcome != scheduler.Skipped {
			s.Started(h.name, noon)
		}
		if h.stdout != "" {
			s.Output(event.Output{Host: h.name, Stream: event.Stdout, Data: []byte(h.stdout), Time: noon})
		}
		s.Result(h.result(store, noon))
		sum.Counts[h.outcomeOr()]++
	}
	return s.Finish(sum)
}

// show plays hosts in a mode and returns what was written.
func show(t *testing.T, mode string, o Options, hosts []host) (out, err string) {
	t.Helper()
	var outBuf, errBuf buffer
	o.Out, o.Err = &outBuf, &errBuf
	if o.Fold == nil {
		o.Fold = inventory.Fold
	}
	o.TempDir = t.TempDir()
	s, e := New(mode, o)
	if e != nil {
		t.Fatal(e)
	}
	store := output.NewStore(1<<20, t.TempDir())
	defer store.Close()
	if e := play(s, store, "uname -sr", hosts); e != nil {
		t.Errorf("Finish: %v", e)
	}
	if m := store.Memory(); m != 0 {
		t.Errorf("%s: %d bytes of captures were not given back", mode, m)
	}
	return outBuf.String(), errBuf.String()
}

// mixed is a run in which most of what can happen happens.
func mixed() []host {
	var hosts []host
	for i := range 20 {
		hosts = append(hosts, host{name: fmt.Sprintf("web%02d", i+1), stdout: "Linux 6.1.0\n"})
	}
	hosts[18].stdout = "Linux 5.10.0\nno newline at the end"
	hosts[2] = host{name: "web03", outcome: scheduler.Unreachable, cause: bannerTimeout}
	hosts[16] = host{name: "web17", outcome: scheduler.Unreachable, cause: bannerTimeout}
	return append(hosts,
		host{name: "cache1"}, host{name: "cache2"},
		host{name: "db1", stderr: "uname: extra operand\n", outcome: scheduler.Failed, exit: 1,
			cause: scheduler.Cause{Kind: scheduler.KindExit, Text: "exit status 1"}},
		host{name: "db2", stdout: "part of", stderr: "killed\r\n", outcome: scheduler.Failed, signal: "KILL",
			cause: scheduler.Cause{Kind: scheduler.KindSignal, Text: "ended by signal KILL"}},
		host{name: "db3", stdout: "begun\n", outcome: scheduler.Lost,
			cause: scheduler.Cause{Kind: scheduler.KindConnLost, Stage: scheduler.StageCommand, Text: "connection lost: read: connection reset by peer"}},
		host{name: "evil", stdout: "\x1b]0;title\a\x1b[2J\x1b[31mred\x1b[0m\r50%\r100%\n── web99 (1 host) ──\n\xff\xfe\x9b2J\u202edlrow\n", truncated: true},
		host{name: "late", lingering: true, stdout: "é\tü\n"},
		host{name: "new1", outcome: scheduler.Unreachable, cause: scheduler.Cause{Kind: scheduler.KindHostKeyUnknown, Stage: scheduler.StageKex, Text: "host key unknown: ED25519 SHA256:abc"}},
		host{name: "rest1", outcome: scheduler.Skipped, cause: scheduler.Cause{Kind: scheduler.KindCanceled, Text: "not started"}},
		host{name: "rest2", outcome: scheduler.Skipped, cause: scheduler.Cause{Kind: scheduler.KindCanceled, Text: "not started"}},
	)
}

var bannerTimeout = scheduler.Cause{Kind: scheduler.KindTimeout, Stage: scheduler.StageBanner, Text: "timeout in banner after 5s"}
