package sshpool

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// stream makes a net.Conn of an SSH channel. The channel itself knows no
// deadlines, and a read of it goes on after a close until the peer answers. So
// a goroutine reads ahead, by one piece, and each write runs on a goroutine of
// its own: callers wait for these, for their deadline and for Close.
//
// After a write that ended by its deadline nobody can tell how much of it was
// sent, so that all later writes fail like it.
type stream struct {
	ch            ssh.Channel
	local, remote net.Addr
	over          func()       // called once, by Close
	why           func() error // why the channel ended, if not by its peer

	closed  chan struct{}
	closing sync.Once

	readTurn, writeTurn   chan struct{} // hold a token while somebody reads or writes
	readUntil, writeUntil deadline

	pieces chan piece
	more   chan struct{} // the last piece has been used up
	rest   []byte        // of the last piece
	err    error         // the end of reading, once met

	buf   []byte // what is being written
	wrote chan error
	bad   error // the end of writing
}

// piece is what one read of the channel gave.
type piece struct {
	data []byte
	err  error
}

// stream makes a net.Conn of a channel of c.
func (c *Conn) stream(ch ssh.Channel, reqs <-chan *ssh.Request, local, remote net.Addr) *stream {
	s := &stream{ch: ch, local: local, remote: remote, closed: make(chan struct{}),
		over: func() { c.wire.stock.other(-1) }, why: c.why,
		readTurn: make(chan struct{}, 1), writeTurn: make(chan struct{}, 1),
		pieces: make(chan piece), more: make(chan struct{}, 1), wrote: make(chan error, 1)}
	go ssh.DiscardRequests(reqs)
	go s.pump()
	return s
}

// pump reads the channel, a piece ahead of the readers.
func (s *stream) pump() {
	buf := make([]byte, streamRead)
	for {
		n, err := s.ch.Read(buf)
		select {
		case s.pieces <- piece{buf[:n], err}:
		case <-s.closed:
			return
		}
		if err != nil {
			return
		}
		select {
		case <-s.more:
		case <-s.closed:
			return
		}
		if n == len(buf) && n < bigRead {
			buf = make([]byte, bigRead)
		}
	}
}

// streamRead is the first size of the buffer that a channel is read with.
const streamRead = 4 << 10

// Read gives what has come. At the end of what the peer sends it gives io.EOF,
// or why the connection below is over.
func (s *stream) Read(p []byte) (int, error) {
	if err := take(s.readTurn, s.closed, &s.readUntil); err != nil {
		return 0, s.opError("read", err)
	}
	defer func() { <-s.readTurn }()
	if len(p) == 0 {
		return 0, nil
	}
	for len(s.rest) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		select {
		case got := <-s.pieces:
			s.rest = got.data
			if got.err != nil {
				s.err = s.ended(got.err)
			} else if len(s.rest) == 0 {
				s.more <- struct{}{}
			}
		case <-s.readUntil.passed():
			return 0, s.opError("read", os.ErrDeadlineExceeded)
		case <-s.closed:
			return 0, s.opError("read", net.ErrClosed)
		}
	}
	n := copy(p, s.rest)
	if s.rest = s.rest[n:]; len(s.rest) == 0 && s.err == nil {
		s.more <- struct{}{}
	}
	return n, nil
}

// ended names the end of reading.
func (s *stream) ended(err error) error {
	if below := s.why(); below != nil {
		return below
	}
	return err
}

// Write sends p. It waits while the peer takes no more.
func (s *stream) Write(p []byte) (n int, err error) {
	if err := take(s.writeTurn, s.closed, &s.writeUntil); err != nil {
		return 0, s.opError("write", err)
	}
	defer func() { <-s.writeTurn }()
	for n < len(p) {
		if s.bad != nil { // and an unfinished write may still use the buffer
			return n, s.bad
		}
		part := p[n:min(len(p), n+maxStreamWrite)]
		s.buf = append(s.buf[:0], part...)
		if err := s.send(func() error {
			_, err := s.ch.Write(s.buf)
			return err
		}); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// maxStreamWrite is what is copied and written at once.
const maxStreamWrite = 32 << 10

// CloseWrite tells the peer that no more is sent; what it sends can still be read.
func (s *stream) CloseWrite() error {
	if err := take(s.writeTurn, s.closed, &s.writeUntil); err != nil {
		return s.opError("close", err)
	}
	defer func() { <-s.writeTurn }()
	err := s.send(s.ch.CloseWrite)
	if s.bad == nil {
		s.bad = s.opError("write", syscall.EPIPE)
	}
	return err
}

// send runs f, which may block for as long as it likes. Who calls has the turn
// to write.
func (s *stream) send(f func() error) error {
	if s.bad != nil {
		return s.bad
	}
	select {
	case <-s.writeUntil.passed(): // nothing was begun: later writes may go on
		return s.opError("write", os.ErrDeadlineExceeded)
	default:
	}
	go func() { s.wrote <- f() }()
	select {
	case err := <-s.wrote:
		if err != nil {
			if err = s.ended(err); err == io.EOF { // the channel's word for closed by the peer
				err = syscall.EPIPE
			}
			s.bad = s.opError("write", err)
		}
	case <-s.writeUntil.passed():
		s.bad = s.opError("write", os.ErrDeadlineExceeded)
	case <-s.closed:
		s.bad = s.opError("write", net.ErrClosed)
	}
	return s.bad
}

// Close ends the stream at once; what was written is still sent.
func (s *stream) Close() error {
	err := net.ErrClosed
	s.closing.Do(func() {
		err = nil
		close(s.closed)
		go func() {
			s.ch.Close() // waits while the connection takes no bytes
			s.over()
		}()
	})
	return err
}

func (s *stream) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: s.remote.Network(), Addr: s.remote, Err: err}
}

func (s *stream) LocalAddr() net.Addr  { return s.local }
func (s *stream) RemoteAddr() net.Addr { return s.remote }

// SetDeadline sets both deadlines; see net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline bounds reads, also those under way; zero is no bound. What
// comes after a read has given up is for the next.
func (s *stream) SetReadDeadline(t time.Time) error { return s.setUntil(&s.readUntil, t) }

// SetWriteDeadline bounds writes, also those under way; zero is no bound. A
// write that it ended is the last.
func (s *stream) SetWriteDeadline(t time.Time) error { return s.setUntil(&s.writeUntil, t) }

func (s *stream) setUntil(d *deadline, t time.Time) error {
	select {
	case <-s.closed:
		return s.opError("set", net.ErrClosed)
	default:
		d.set(t)
		return nil
	}
}

// take waits for the turn that a token in c is.
func take(c chan<- struct{}, closed <-chan struct{}, until *deadline) error {
	select {
	case <-closed:
		return net.ErrClosed
	case <-until.passed():
		return os.ErrDeadlineExceeded
	default:
	}
	select {
	case c <- struct{}{}:
		return nil
	case <-closed:
		return net.ErrClosed
	case <-until.passed():
		return os.ErrDeadlineExceeded
	}
}

// deadline is a moment that can be moved while others wait for it.
type deadline struct {
	mu    sync.Mutex
	c     chan struct{} // closed when it has passed; made when first wanted
	timer *time.Timer
}

// passed is closed once the moment has passed.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.signal()
}

func (d *deadline) signal() chan struct{} {
	if d.c == nil {
		d.c = make(chan struct{})
	}
	return d.c
}

// set moves it to t; zero is never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	select {
	case <-d.signal():
		d.c = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		close(d.c)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.timer == timer { // else it was moved at the same moment
			d.timer = nil
			close(d.c)
		}
	})
	d.timer = timer
}
