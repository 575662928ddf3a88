package sshpool

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowWriterGetsAll has the output wait for its writer for longer than the
// drain time after the command has ended. All of it must come, and nothing is
// said to linger.
func TestSlowWriterGetsAll(t *testing.T) {
	t.Parallel()
	_, target := one(t, "")
	c, err := Dial(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const size = 1 << 20
	slow := &lateWriter{each: 150 * time.Millisecond}
	res, err := c.Exec(testContext(t), "bytes 1M", slow, io.Discard)
	if err != nil || res.Lingering || res.StdoutBytes != size || slow.got.Len() != size || res.ExitCode != 0 || !res.HasExit {
		t.Errorf("%d of %d bytes written: %+v, %v", slow.got.Len(), size, res, err)
	}
}

type lateWriter struct {
	each time.Duration
	got  bytes.Buffer
}

func (w *lateWriter) Write(p []byte) (int, error) {
	<-time.After(w.each)
	return w.got.Write(p)
}

// TestBusyReaderHoldsTheHostBack has a writer that stops: no more than the
// bound and what is on its way is read meanwhile, and all of it afterwards.
func TestBusyReaderHoldsTheHostBack(t *testing.T) {
	_, target := one(t, "")
	c, err := Dial(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	open := make(chan struct{})
	began := make(chan struct{})
	gate := &gatedWriter{open: open, began: began}
	type end struct {
		res ExecResult
		err error
	}
	done := make(chan end, 1)
	go func() {
		res, err := c.Exec(testContext(t), "bytes 20M", gate, io.Discard)
		done <- end{res, err}
	}()
	<-began
	limit := time.After(20 * time.Second)
	for !c.wire.stock.holds() {
		select {
		case <-limit:
			t.Fatal("the wire is read on")
		case <-time.After(time.Millisecond):
		}
	}
	c.wire.stock.mu.Lock()
	came := c.wire.stock.came
	c.wire.stock.mu.Unlock()
	if came > maxBacklog+256<<10 {
		t.Errorf("%d bytes came", came)
	}
	// Another command passes meanwhile.
	if res, err := c.Exec(testContext(t), "true", nil, nil); err != nil || !res.HasExit {
		t.Errorf("a second command: %+v, %v", res, err)
	}
	close(open)
	if e := <-done; e.err != nil || e.res.StdoutBytes != 20<<20 || e.res.Lingering || gate.n != 20<<20 {
		t.Errorf("%+v, %v", e.res, e.err)
	}
}

type gatedWriter struct {
	open, began chan struct{}
	n           int
}

func (w *gatedWriter) Write(p []byte) (int, error) {
	if w.n == 0 {
		close(w.began)
		<-w.open
	}
	w.n += len(p)
	return len(p), nil
}

// TestBacklogNeverStalls reads the wire in pieces that never let a read come
// short: the wait ends by itself.
func TestBacklogNeverStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backlog{wake: make(chan struct{}, 1)}
		b.command(1)
		b.arrive(maxBacklog + 1000)
		b.read(1000-1, true)() // just too little, and no read comes any more
		began := time.Now()
		b.wait()
		if took := time.Since(began); took != stuckAfter {
			t.Errorf("waited %v", took)
		}
		b.arrive(maxBacklog + 1)
		passed := b.read(10, true)
		go func() {
			<-time.After(time.Hour) // a writer that takes its time is waited for
			passed()
			b.end()
		}()
		began = time.Now()
		b.wait()
		if took := time.Since(began); took != time.Hour {
			t.Errorf("waited %v for a writer", took)
		}
	})
}
