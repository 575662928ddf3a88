package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/render"
	"fleet/inventory"
)

// labTask is a lab for a process of its own.
type labTask struct {
	N   int
	Dir string
}

// runTask is a run for a process of its own, over all hosts of a lab.
type runTask struct {
	Dir       string // of the lab
	Command   string
	Fanout    int
	MaxOutput int64
	Mode      string // of output, which goes to a file that is thrown away
	Timeout   time.Duration
}

// measured is what such a run took.
type measured struct {
	OK        int
	Causes    map[string]int
	Bytes     int64  // of output, as the results count them
	Shown     int64  // passed on to the sink
	Cut       int    // hosts whose output was
	Lingering int    // hosts whose output was open past the drain time
	Base      uint64 // bytes that the runtime had from the system before, less what it gave back
	Peak      uint64 // and at most
	RSS       uint64 // at most, of the whole process
	Wall      time.Duration
	HostName  string `json:",omitempty"`
}

// process is a child of the test that runs this binary in a role.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
	errs  bytes.Buffer
}

func startProcess(t testing.TB, role string, task any) *process {
	t.Helper()
	text, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), "FLEET_TEST_ROLE="+role, "FLEET_TEST_TASK="+string(text))
	p.cmd.Stderr = &p.errs
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stdin.Close()
		p.cmd.Process.Kill()
		p.cmd.Wait()
	})
	return p
}

// startLab starts a lab in a process of its own; its files are in the folder.
func startLab(t testing.TB, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	p := startProcess(t, "lab", labTask{N: n, Dir: dir})
	if line, err := p.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("lab: %q, %v\n%s", line, err, &p.errs)
	}
	return dir
}

// measure carries a run out in a process of its own.
func measure(t testing.TB, task runTask) measured {
	t.Helper()
	p := startProcess(t, "run", task)
	var m measured
	if err := json.NewDecoder(p.out).Decode(&m); err != nil {
		p.cmd.Process.Kill()
		t.Fatalf("run: %v\n%s", err, &p.errs)
	}
	t.Logf("%d hosts ok, %d MB in %.1fs; the runtime held %d MiB at most, %d before; resident %d MiB", m.OK,
		m.Bytes/1e6, m.Wall.Seconds(), m.Peak>>20, m.Base>>20, m.RSS>>20)
	return m
}

// labProcess is a lab until its stdin ends.
func labProcess(task []byte) (any, error) {
	var want labTask
	if err := json.Unmarshal(task, &want); err != nil {
		return nil, err
	}
	l, err := lab.Start(context.Background(), lab.Config{N: want.N, Prefix: "web", Dir: want.Dir})
	if err != nil {
		return nil, err
	}
	if err := l.WriteFiles(); err != nil {
		return nil, err
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return nil, l.Close()
}

// runProcess is one run over a lab.
func runProcess(task []byte) (any, error) {
	var want runTask
	if err := json.Unmarshal(task, &want); err != nil {
		return nil, err
	}
	inv, err := inventory.Load(want.Dir + "/hosts.yaml")
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(want.Dir, "out")
	if err != nil {
		return nil, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	sink, err := render.New(want.Mode, render.Options{Out: out, Err: io.Discard, TempDir: want.Dir})
	if err != nil {
		return nil, err
	}
	r, err := New(context.Background(), Request{
		Hosts: inv.Hosts(), Command: want.Command, Fanout: want.Fanout, MaxOutput: want.MaxOutput,
		Keep: render.NeedsCaptures(want.Mode), Access: Access{ConnectTimeout: time.Minute}, Timeout: want.Timeout,
	})
	if err != nil {
		return nil, err
	}
	light(r)
	debug.SetGCPercent(200) // as the command line does
	debug.SetMemoryLimit(384 << 20)
	m := measured{Causes: map[string]int{}, Base: held()}
	stop, peak := watchHeld()
	s := newTold()
	s.drop, s.next = true, sink
	s.onResult = func(res event.Result) {
		m.Bytes += res.StdoutBytes + res.StderrBytes
		if res.Truncated {
			m.Cut++
		}
		if res.Lingering {
			m.Lingering++
		}
	}
	sum, err := r.Run(s)
	if err != nil {
		return nil, err
	}
	close(stop)
	m.Peak, m.OK, m.Shown, m.Wall = <-peak, sum.Counts[okay], s.bytes, sum.Wall
	m.Causes = carried{told: s}.causes()
	if m.RSS, err = peakRSS(); err != nil {
		return nil, err
	}
	if err := s.Finish(sum); err != nil {
		return nil, err
	}
	return m, r.Close()
}

// held is the memory that the runtime has from the system. It leaves out what
// the race detector takes beside it.
func held() uint64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}

// watchHeld follows held until stop is closed and then gives its highest value.
func watchHeld() (stop chan<- struct{}, peak <-chan uint64) {
	end, high := make(chan struct{}), make(chan uint64, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		most := held()
		for {
			select {
			case <-tick.C:
				most = max(most, held())
			case <-end:
				high <- max(most, held())
				return
			}
		}
	}()
	return end, high
}

// peakRSS is VmHWM of this process, in bytes; see proc(5).
func peakRSS() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/self/status")
}
