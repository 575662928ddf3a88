package lab

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// wire is the server's end of one accepted connection. It counts, delays and
// damages what goes over it, and knows when the peer has gone.
type wire struct {
	net.Conn
	host   *Host
	ahead  []byte // read from the socket, not yet asked for
	delay  *delayLine
	frozen atomic.Bool
	login  atomic.Bool // still counted as half open

	stall time.Duration // before the second write, which starts the key exchange
	wrote bool

	gone     chan struct{} // closed when the peer has gone or Close was called
	goneOnce sync.Once
}

func newWire(h *Host, c net.Conn) *wire {
	w := &wire{Conn: c, host: h, gone: make(chan struct{})}
	if rtt := h.lab.cfg.RTT; rtt > 0 {
		w.delay = newDelayLine(c, rtt)
	}
	return w
}

// Read serves small reads from a larger one of its own: the version line is
// asked for byte by byte, and a byte need not be a system call.
func (w *wire) Read(p []byte) (int, error) {
	if w.frozen.Load() {
		<-w.gone
	}
	if len(w.ahead) > 0 {
		n := copy(p, w.ahead)
		w.ahead = w.ahead[n:]
		return n, nil
	}
	if len(p) == 1 {
		buf := make([]byte, 256)
		n, err := w.receive(buf)
		w.ahead = buf[:n]
		if n == 0 {
			return 0, err
		}
		p[0] = w.ahead[0]
		w.ahead = w.ahead[1:]
		return 1, nil
	}
	return w.receive(p)
}

func (w *wire) receive(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.host.received.Add(int64(n))
	if w.frozen.Load() {
		<-w.gone
	}
	if err != nil {
		w.leave()
	}
	return n, err
}

// Write sends p, after the delay where there is one.
func (w *wire) Write(p []byte) (int, error) {
	if w.frozen.Load() {
		<-w.gone
		return 0, net.ErrClosed
	}
	if w.stall > 0 && w.wrote {
		d := w.stall
		w.stall = 0
		if !w.pause(d) {
			return 0, net.ErrClosed
		}
	}
	if !w.wrote { // later writes may come from several goroutines
		w.wrote = true
	}
	w.host.sent.Add(int64(len(p)))
	if w.delay != nil {
		return w.delay.Write(p)
	}
	return w.Conn.Write(p)
}

// Close ends the connection once everything written was sent.
func (w *wire) Close() error {
	w.leave()
	if w.delay != nil {
		// The reader stops now, the socket closes behind the last byte.
		w.Conn.SetReadDeadline(time.Unix(1, 0))
		w.delay.close()
		return nil
	}
	return w.Conn.Close()
}

// drain closes the connection and returns when its last byte was sent.
func (w *wire) drain() {
	w.Close()
	if w.delay != nil {
		<-w.delay.ended
	}
}

// cut ends the connection as a broken line does, but for the bytes already
// written: the peer gets these and then the end of the stream, without an SSH
// disconnect.
func (w *wire) cut() {
	if t, ok := w.Conn.(*net.TCPConn); ok && w.delay == nil {
		t.CloseWrite()
	}
	w.Close()
}

// reset ends the connection by RST.
func (w *wire) reset() {
	if t, ok := w.Conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	w.kill()
}

// kill ends the connection at once, with what is still on its way.
func (w *wire) kill() {
	w.leave()
	if w.delay != nil {
		w.delay.kill()
	}
	w.Conn.Close()
}

// freeze makes the connection behave as that of a stopped process: the socket
// stays open, nothing is read or written any more.
func (w *wire) freeze() { w.frozen.Store(true) }

func (w *wire) leave() { w.goneOnce.Do(func() { close(w.gone) }) }

// hold keeps the connection open without a word until the peer goes.
func (w *wire) hold() {
	buf := make([]byte, 512)
	for {
		if _, err := w.Read(buf); err != nil {
			return
		}
	}
}

// pause waits for d; it reports false if the connection ended before.
func (w *wire) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.gone:
		return false
	}
}
