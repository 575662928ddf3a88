package sshpool

import (
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// stopWait bounds how long a cancelled command holds its caller up when the
// connection takes no more bytes.
const stopWait = 250 * time.Millisecond

// stop asks the host to end the command. Dropbear may take the end of a process
// for that of a session which begins in the same moment, and then closes that
// one without its output (github.com/mkj/dropbear/issues/173; seen in 2022.83):
// what comes next shall not come on this connection.
func (r *running) stop() {
	if strings.HasPrefix(r.c.ServerVersion(), "SSH-2.0-dropbear") {
		r.c.retire()
	}
	sent := make(chan struct{})
	ch := r.s.ch
	go func() {
		ch.SendRequest("signal", false, appendString(nil, "TERM"))
		ch.Close()
		close(sent)
	}()
	wait := newLimit(stopWait)
	defer wait.stop()
	select {
	case <-sent:
	case <-wait.c:
	}
}

// finish lets go of the streams and of the channel. After it nothing is written
// to the caller's writers.
func (r *running) finish() {
	close(r.gone)
	r.bound(-1)
	r.c.takeBack(r.lent)
	r.res.StdoutBytes = r.out.close()
	r.res.StderrBytes = r.err.close()
	if r.res.Took == 0 {
		r.res.Took = time.Since(r.began)
	}
	if !r.closed {
		select {
		case req, ok := <-r.s.reqs:
			if r.closed = !ok; ok {
				req.Reply(false, nil)
			}
		default:
		}
	}
	if r.closed {
		r.c.slots.give()
		return
	}
	go func() {
		r.s.ch.Close()
		ssh.DiscardRequests(r.s.reqs)
		r.c.slots.give()
	}()
}

// copy reads one stream to its end. Nobody else reads it, so it goes on when
// the writer fails: unread output would stall the host.
func (r *running) copy(s *sink, from io.Reader) {
	defer func() { r.done <- s }()
	buf := make([]byte, smallRead)
	for {
		n, err := from.Read(buf)
		passed := r.c.wire.stock.read(n, n == len(buf))
		s.write(buf[:n], n == len(buf))
		passed()
		if err != nil {
			s.rest()
			break
		}
		if n == len(buf) && n < bigRead {
			buf = make([]byte, bigRead)
		}
	}
}

// send sends the command its input, and then the end of that. There is no end
// where it could not be read: to the command it would be one like any other.
func (r *running) send(stdin io.Reader) {
	in := &input{from: stdin}
	io.Copy(r.s.ch, in)
	if in.err != nil {
		r.unread <- in.err
		return
	}
	r.s.ch.CloseWrite()
}

// input notes why it could not be read to its end.
type input struct {
	from io.Reader
	err  error
}

func (in *input) Read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, callerPanic(v)
		}
		if err != nil && err != io.EOF {
			in.err = err
		}
	}()
	return in.from.Read(p)
}

// Sizes of the buffer that a stream is read with: most commands write little.
const (
	smallRead = 1 << 10
	bigRead   = 40<<10 - 1 // no multiple of what packets hold: a read that fills it leaves something
)

// callerPanic is the error of a reader or writer that panicked.
func callerPanic(v any) error { return fmt.Errorf("panic: %v", v) }
