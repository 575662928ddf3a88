package sshpool

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// wire is the transport below SSH. It reads the peer's version line through a
// buffer of its own, keeps the time of the last byte for keepalive, and asks
// for quick acknowledgement while a connection is being set up.
type wire struct {
	net.Conn
	ahead []byte          // read but not yet given to SSH
	raw   syscall.RawConn // nil where the transport is no socket
	quick atomic.Bool     // acknowledge at once
	born  time.Time
	heard atomic.Int64 // when the last byte came, since born
	// forwards says that the connection carries others: sshd sets TCP_NODELAY
	// for commands only, so that quick acknowledgement stays.
	forwards atomic.Bool
	stock    backlog // what has come and was not taken
	sent     bool    // our version line has been sent

	mu   sync.Mutex // held while a write waits for the peer
	held []byte     // written by SSH, not yet sent
	keys bool       // the first NEWKEYS has been written
	late *time.Timer

	state sync.Mutex // never held for longer than it takes to look
	err   error      // first error of a read or write
}

func newWire(nc net.Conn) *wire {
	w := &wire{Conn: nc, born: time.Now()}
	w.stock.wake = make(chan struct{}, 1)
	if sc, ok := nc.(syscall.Conn); ok && canQuickAck {
		if raw, err := sc.SyscallConn(); err == nil {
			w.raw = raw
			w.quick.Store(true)
		}
	}
	return w
}

// clientVersion is what we call ourselves to hosts.
const clientVersion = "SSH-2.0-fleet"

// Read gives what was read ahead, then reads from the network.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.ahead) > 0 {
		n := copy(p, w.ahead)
		if w.ahead = w.ahead[n:]; len(w.ahead) == 0 {
			w.ahead = nil
		}
		return n, nil
	}
	return w.receive(p)
}

func (w *wire) receive(p []byte) (int, error) {
	w.stock.wait()
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.stock.arrive(n)
		w.hear()
		if w.quick.Load() || w.raw != nil && w.forwards.Load() {
			quickAck(w.raw)
		}
	}
	if err != nil {
		w.fail(err)
	}
	return n, err
}

// newKeysDelay is how long the message that ends the key exchange waits for
// the request for login that follows it at once, to go in one packet with it.
const newKeysDelay = time.Millisecond

// Write sends p. The version line is dropped, as readVersion has sent it; the
// first NEWKEYS message is held back for the next write, or for newKeysDelay.
func (w *wire) Write(p []byte) (int, error) {
	if w.sent {
		w.sent = false
		return len(p), nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	const typeAt, msgNewKeys = 5, 21 // RFC 4253 sections 6 and 12
	if !w.keys && len(p) > typeAt && p[typeAt] == msgNewKeys {
		w.keys = true
		w.held = bytes.Clone(p)
		w.late = time.AfterFunc(newKeysDelay, w.flush)
		return len(p), nil
	}
	if w.held == nil {
		return w.send(p)
	}
	w.late.Stop()
	both := append(w.held, p...)
	w.held = nil
	if _, err := w.send(both); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *wire) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held != nil {
		held := w.held
		w.held = nil
		w.send(held)
	}
}

// send writes to the network; w.mu is held.
func (w *wire) send(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.fail(err)
	}
	return n, err
}

// Close ends the transport.
func (w *wire) Close() error {
	w.stock.end()
	return w.Conn.Close()
}

// hear notes a sign of life.
func (w *wire) hear() { w.heard.Store(int64(time.Since(w.born))) }

// silence is how long no byte has come.
func (w *wire) silence() time.Duration {
	return time.Since(w.born) - time.Duration(w.heard.Load())
}

// fail notes the first error of the network; that we closed it is none.
func (w *wire) fail(err error) {
	if isOwnClose(err) {
		return
	}
	w.state.Lock()
	defer w.state.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// failure is the first error of the network, nil if there was none.
func (w *wire) failure() error {
	w.state.Lock()
	defer w.state.Unlock()
	return w.err
}

// isOwnClose tells whether err only says that we closed the transport. Where that
// is itself carried by a connection, the end of that one is another matter.
func isOwnClose(err error) bool {
	var typed *Error
	return errors.Is(err, net.ErrClosed) && !errors.As(err, &typed)
}

// Bounds of what may come before the version line (RFC 4253 section 4.2 allows
// other lines there and a version line of 255 bytes).
const (
	maxPreface     = 64 << 10
	maxVersionLine = 255
)

// readVersion sends our version line and reads up to the peer's, which it
// leaves for SSH to read. Its errors are of type *Error or the network's.
func (w *wire) readVersion() error {
	if _, err := w.Conn.Write([]byte(clientVersion + "\r\n")); err != nil {
		return err
	}
	w.sent = true
	buf := make([]byte, 0, 2048)
	var preface []byte // first bytes before the version line
	skipped := 0
	for {
		if len(buf) == cap(buf) {
			skipped += len(buf)
			buf = buf[:0]
		}
		n, err := w.receive(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		for {
			nl := bytes.IndexByte(buf, '\n')
			if nl < 0 {
				break
			}
			line := buf[:nl]
			if bytes.HasPrefix(line, []byte("SSH-")) {
				w.ahead = buf
				return checkVersion(line)
			}
			if room := maxExcerpt + 1 - len(preface); room > 0 {
				preface = append(preface, buf[:min(nl+1, room)]...)
			}
			if bytes.HasPrefix(line, []byte("HTTP/")) || isThrottle(preface) {
				return notSSH(preface)
			}
			skipped += nl + 1
			buf = buf[:copy(buf, buf[nl+1:])]
		}
		shown := preface
		if room := maxExcerpt + 1 - len(preface); room > 0 {
			shown = append(shown[:len(shown):len(shown)], buf[:min(len(buf), room)]...)
		}
		switch {
		case skipped+len(buf) > maxPreface:
			return notSSH(shown)
		case err != nil && len(shown) > 0:
			if isTimeout(err) {
				return err
			}
			return notSSH(shown)
		case err != nil:
			return err
		}
	}
}

// checkVersion refuses a peer that does not speak protocol 2.
func checkVersion(line []byte) error {
	v := strings.TrimSuffix(string(line), "\r")
	switch {
	case len(v) > maxVersionLine:
		return &Error{Op: opDial, Kind: KindProtocol, Stage: StageBanner, Text: "version line too long: " + excerpt(line)}
	case strings.HasPrefix(v, "SSH-2.0-"), strings.HasPrefix(v, "SSH-1.99-"):
		return nil
	}
	return &Error{Op: opDial, Kind: KindProtocol, Stage: StageBanner, Text: "no SSH 2 server: " + excerpt([]byte(v))}
}

// isThrottle knows the words with which sshd(8) turns a client away before the
// version line: MaxStartups, and PerSourcePenalties from OpenSSH 9.8.
func isThrottle(preface []byte) bool {
	return bytes.Contains(preface, []byte("Exceeded MaxStartups")) ||
		bytes.Contains(preface, []byte("Not allowed at this time"))
}

// notSSH is the error of a peer that said something else than a version.
func notSSH(preface []byte) *Error {
	if isThrottle(preface) {
		return &Error{Op: opDial, Kind: KindThrottled, Stage: StageBanner,
			Text: "throttled: " + excerpt(bytes.TrimSpace(preface))}
	}
	return &Error{Op: opDial, Kind: KindProtocol, Stage: StageBanner,
		Text: "not an SSH server: " + excerpt(preface)}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
