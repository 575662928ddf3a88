package sshpool

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// stuckConn is a transport whose writes wait for its end, and whose reads are
// at their end at once: a peer that reads no more and has closed its half.
type stuckConn struct {
	net.Conn
	writing, closed chan struct{}
	closing         sync.Once
}

func (s *stuckConn) Read([]byte) (int, error) { return 0, io.EOF }

func (s *stuckConn) Write([]byte) (int, error) {
	close(s.writing)
	<-s.closed
	return 0, net.ErrClosed
}

func (s *stuckConn) Close() error {
	s.closing.Do(func() { close(s.closed) })
	return nil
}

// TestBlockedWriteHoldsNobodyUp has a write wait for a peer that reads nothing.
// What the connection's state is must be told meanwhile: whoever asks for it
// may hold the lock of the whole pool.
func TestBlockedWriteHoldsNobodyUp(t *testing.T) {
	nc := &stuckConn{writing: make(chan struct{}), closed: make(chan struct{})}
	w := newWire(nc)
	c := &Conn{wire: w, done: make(chan struct{})}
	wrote := make(chan error, 1)
	go func() {
		_, err := w.Write([]byte("a packet"))
		wrote <- err
	}()
	<-nc.writing
	told := make(chan struct{})
	go func() {
		defer close(told)
		if _, err := w.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v", err)
		}
		if !c.ending() {
			t.Error("the end of the transport went unnoticed")
		}
		c.kill(errors.New("dead")) // as keepalive does
	}()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("the state of a connection waits for a write")
		nc.Close()
		<-told
	}
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v", err)
	}
}
