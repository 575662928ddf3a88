package lab

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// pair is both ends of a TCP connection on loopback.
func pair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestDelayKeepsRateAndOrder sends 32 MiB, which take as long as without a
// delay, but for the delay itself.
func TestDelayKeepsRateAndOrder(t *testing.T) {
	a, b := pair(t)
	const by = 100 * time.Millisecond
	d := newDelayLine(a, by)
	want, err := io.ReadAll(io.LimitReader(&pattern{}, 32<<20))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	go func() {
		for rest := want; len(rest) > 0; rest = rest[32<<10:] {
			d.Write(rest[:32<<10])
		}
		d.close()
	}()
	first := make([]byte, 1)
	if _, err := io.ReadFull(b, first); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < by {
		t.Errorf("the first byte came after %v, want %v", took, by)
	}
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(append(first, got...), want) {
		t.Errorf("%d bytes, %v; want %d, the same", len(got)+1, err, len(want))
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("32 MiB took %v", took)
	}
	<-d.ended
}

// TestDelayIsBounded fills a line whose peer does not read.
func TestDelayIsBounded(t *testing.T) {
	a, _ := pair(t)
	d := newDelayLine(a, time.Hour)
	block := make([]byte, 1<<20)
	done := make(chan error, 1)
	go func() {
		for {
			if _, err := d.Write(block); err != nil {
				done <- err
				return
			}
		}
	}()
	for deadline := time.Now().Add(far); ; {
		d.mu.Lock()
		full := d.bytes >= maxDelayed
		d.mu.Unlock()
		if full {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the line does not fill")
		}
	}
	select {
	case err := <-done:
		t.Fatalf("write ended: %v; want it to wait", err)
	case <-time.After(20 * time.Millisecond):
	}
	d.kill()
	if err := <-done; err == nil {
		t.Error("write to a killed line gave no error")
	}
	<-d.ended
}

func TestRTT(t *testing.T) {
	const rtt = 60 * time.Millisecond
	l := start(t, Config{N: 1, RTT: rtt})
	h := l.Hosts()[0]
	p := probe{t, l, h}
	c := p.login()
	for _, step := range []struct {
		name   string
		rounds int
		f      func() error
	}{
		{"keepalive", 1, func() error { _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); return err }},
		{"session and command", 2, func() error { _, err := output(t, c, "true"); return err }},
	} {
		begin := time.Now()
		if err := step.f(); err != nil {
			t.Fatal(err)
		}
		took, want := time.Since(begin), time.Duration(step.rounds)*rtt
		if took < want || took > want+2*time.Second {
			t.Errorf("%s took %v, want %v", step.name, took, want)
		}
	}
	begin := time.Now()
	if got, err := output(t, c, "bytes 16M"); err != nil || len(got) != 16<<20 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	t.Logf("16 MiB at %v round trip, window 2 MiB: %v", rtt, time.Since(begin))
}
