package output

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// gate is a reader that takes nothing until it is opened, then all, or fails.
type gate struct {
	open chan struct{}
	fail error

	mu  sync.Mutex
	got bytes.Buffer
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail != nil {
		return 0, g.fail
	}
	return g.got.Write(p)
}

func (g *gate) bytes() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return bytes.Clone(g.got.Bytes())
}

func TestQueueSpillsBeforeSlowReader(t *testing.T) {
	dir := t.TempDir()
	g := newGate()
	q := NewQueue(g, QueueOptions{Memory: 10_000, Dir: dir})
	data := noise(1, 1_000_000)
	for i := 0; i < len(data); i += 1000 {
		if n, err := q.Write(data[i : i+1000]); n != 1000 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if s := q.Spilled(); s != 990_000 {
		t.Errorf("%d bytes in the file, want all but 10,000", s)
	}
	if names, _ := os.ReadDir(dir); len(names) != 0 {
		t.Errorf("the spill file has a name: %v", names)
	}
	close(g.open)
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(g.bytes(), data) {
		t.Error("what was read differs from what was written")
	}
	if _, err := q.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Close: %v", err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// The file is used, emptied and used again, in order all the time.
func TestQueueOrder(t *testing.T) {
	pr, pw := io.Pipe()
	q := NewQueue(pw, QueueOptions{Memory: 5000, Dir: t.TempDir()})
	data := noise(2, 600_000)
	var got bytes.Buffer
	read := func(n int) {
		t.Helper()
		if _, err := io.CopyN(&got, pr, int64(n)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(from, to int) {
		t.Helper()
		for ; from < to; from += 500 {
			if _, err := q.Write(data[from : from+500]); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(0, 300_000)
	read(100_000)
	write(300_000, 400_000)
	read(300_000) // empties the file
	write(400_000, 403_000)
	read(3000)
	write(403_000, 600_000)
	done := make(chan error, 1)
	go func() { done <- q.Close() }()
	read(197_000)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got.Bytes(), data) {
		t.Error("what was read differs from what was written")
	}
}

func TestQueueKeepsWritesTogether(t *testing.T) {
	g := newGate()
	close(g.open)
	q := NewQueue(g, QueueOptions{Memory: 100, Dir: t.TempDir()})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			line := append(bytes.Repeat([]byte{byte('a' + i)}, 60), '\n')
			for range 200 {
				q.Write(line)
			}
		})
	}
	wg.Wait()
	q.Close()
	lines := bytes.Split(bytes.TrimSuffix(g.bytes(), []byte("\n")), []byte("\n"))
	if len(lines) != 4000 {
		t.Fatalf("%d lines, want 4000", len(lines))
	}
	for _, l := range lines {
		if len(l) != 60 || bytes.Count(l, l[:1]) != 60 {
			t.Fatalf("line %q is mixed", l)
		}
	}
}

func TestQueueBrokenPipe(t *testing.T) {
	g := newGate()
	g.fail = syscall.EPIPE
	q := NewQueue(g, QueueOptions{Memory: 1000, Dir: t.TempDir()})
	for range 100 {
		if _, err := q.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	close(g.open)
	if err := q.Close(); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Close = %v", err)
	}
	if _, err := q.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write = %v", err)
	}
	if !errors.Is(q.Err(), syscall.EPIPE) || q.Spilled() != 0 {
		t.Errorf("Err = %v, %d bytes left in the file", q.Err(), q.Spilled())
	}
}

// With the disk full too, Write waits for the reader, and nothing is lost.
func TestQueueFullDiskWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		q := NewQueue(g, QueueOptions{Memory: 1000})
		q.open = diskOf(t, 2500)
		data := noise(3, 20_000)
		written := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; i < len(data); i += 100 {
				q.Write(data[i : i+100])
				written = i + 100
			}
		}()
		synctest.Wait()
		if written != 3500 {
			t.Errorf("%d bytes taken, want 1000 in memory and 2500 on the disk", written)
		}
		close(g.open)
		<-done
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if !bytes.Equal(g.bytes(), data) {
			t.Error("what was read differs from what was written")
		}
	})
}

func TestQueueLargeWrite(t *testing.T) {
	g := newGate()
	close(g.open)
	q := NewQueue(g, QueueOptions{Memory: 10, Dir: t.TempDir()})
	data := noise(6, 3<<20)
	q.Write(data)
	q.Write(data)
	if err := q.Close(); err != nil || !bytes.Equal(g.bytes(), append(bytes.Clone(data), data...)) {
		t.Errorf("Close = %v, %d bytes", err, len(g.bytes()))
	}
}

// Pace holds the drain back, but not once the queue is closing.
func TestQueuePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		close(g.open)
		q := NewQueue(g, QueueOptions{Pace: func(_ int, hurry <-chan struct{}) {
			select {
			case <-hurry:
			case <-time.After(time.Second):
			}
		}})
		q.Write([]byte("a"))
		synctest.Wait()
		q.Write([]byte("b"))
		synctest.Wait()
		if got := g.bytes(); string(got) != "a" {
			t.Errorf("written %q while held back", got)
		}
		begin := time.Now()
		q.Close()
		if got := g.bytes(); string(got) != "ab" || time.Since(begin) != 0 {
			t.Errorf("written %q, %v after Close", got, time.Since(begin))
		}
	})
}

func BenchmarkQueue(b *testing.B) {
	q := NewQueue(io.Discard, QueueOptions{Dir: b.TempDir()})
	defer q.Close()
	line := noise(1, 80)
	b.ReportAllocs()
	for b.Loop() {
		q.Write(line)
	}
}
