package sshpool

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// Messages of SFTP version 3 (draft-ietf-secsh-filexfer-02 section 3) that open
// files need; the library speaks the others.
const (
	fxpOpen     = 3
	fxpClose    = 4
	fxpRead     = 5
	fxpWrite    = 6
	fxpLstat    = 7
	fxpFstat    = 8
	fxpFsetstat = 10
	fxpOpendir  = 11
	fxpReaddir  = 12
	fxpMkdir    = 14
	fxpStatus   = 101
	fxpHandle   = 102
	fxpData     = 103
	fxpName     = 104
	fxpAttrs    = 105
	fxpExtended = 200
	fxpReply    = 201 // SSH_FXP_EXTENDED_REPLY
)

const (
	// ownIDs is where the ids of our own requests begin; those of the library
	// count up from 1.
	ownIDs = 1 << 31
	// maxMessage bounds a message of the server. The library allows as much;
	// the draft wants 34000 bytes to be possible, OpenSSH sends up to 256 KiB.
	maxMessage = 256 << 10
)

// sftpLink carries one SFTP session: the requests of the library, which come
// and go through pipes, and our own for open files beside them, told apart by
// their ids. One goroutine writes to the channel and one reads it, so that who
// asks waits for neither.
type sftpLink struct {
	ch    ssh.Channel
	c     *Conn
	out   chan outgoing
	lib   *io.PipeWriter // answers for the library
	over  chan struct{}  // closed at the end
	after func()         // called once, after the end

	maxRead, maxWrite atomic.Int64 // bytes that one request may ask for

	mu      sync.Mutex
	err     error // why it ended
	last    uint32
	waiting map[uint32]*ask
}

// outgoing is a message to send: head, then body where there is one, which is
// not changed until sent is called.
type outgoing struct {
	head, body []byte
	sent       func()
}

// ask is a request that waits for its answer.
type ask struct {
	done   chan *ask // gets the ask itself when the answer is there
	kind   byte
	data   []byte // of the answer, behind its id
	err    error
	tag    int64 // for who asked
	size   int
	pooled bool // data may be from the pool: release is called
}

// Buffers for what is read of files: of servers that give the least and of those
// that give the most.
var (
	smallData = sync.Pool{New: func() any { return new([smallMessage]byte) }}
	bigData   = sync.Pool{New: func() any { return new([maxMessage]byte) }}
)

const smallMessage = smallChunk + 4 // a chunk and its length

// dataFor gives a buffer from the pools, if one of them is about as large.
func dataFor(n int) []byte {
	switch {
	case n > smallMessage && n > maxMessage/4:
		return bigData.Get().(*[maxMessage]byte)[:n]
	case n > smallMessage/4 && n <= smallMessage:
		return smallData.Get().(*[smallMessage]byte)[:n]
	}
	return make([]byte, n)
}

// release gives the data back.
func (a *ask) release() {
	switch {
	case !a.pooled:
	case cap(a.data) == maxMessage:
		bigData.Put((*[maxMessage]byte)(a.data[:maxMessage]))
	case cap(a.data) == smallMessage:
		smallData.Put((*[smallMessage]byte)(a.data[:smallMessage]))
	}
	a.data = nil
}

func newSFTPLink(c *Conn, ch ssh.Channel, after func()) (*sftpLink, *io.PipeReader) {
	r, w := io.Pipe()
	l := &sftpLink{ch: ch, c: c, out: make(chan outgoing), lib: w, over: make(chan struct{}), after: after,
		last: ownIDs, waiting: make(map[uint32]*ask)}
	l.maxRead.Store(smallChunk)
	l.maxWrite.Store(smallChunk)
	return l, r
}

// end ends the session for the given reason; the first one counts.
func (l *sftpLink) end(why error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = why
	left := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	close(l.over)
	l.lib.CloseWithError(why)
	for _, a := range left {
		a.err = why
		a.done <- a
	}
	go func() {
		l.ch.Close() // waits while the connection takes no bytes
		l.after()
	}()
}

// write sends what is asked for until the end.
func (l *sftpLink) write() {
	for {
		select {
		case m := <-l.out:
			_, err := l.ch.Write(m.head)
			if err == nil && len(m.body) > 0 {
				_, err = l.ch.Write(m.body)
			}
			if m.sent != nil {
				m.sent()
			}
			if err != nil {
				l.end(l.failure(err))
				return
			}
		case <-l.over:
			return
		}
	}
}

// failure is why reading or writing of the channel ended.
func (l *sftpLink) failure(err error) error {
	if l.c.ending() {
		return l.c.lost(context.Background(), StageTransfer)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if why := l.c.why(); why != nil {
			return why
		}
		return &Error{Op: opSFTP, Kind: KindProtocol, Stage: StageTransfer, Err: err, Text: "sftp server ended"}
	}
	return &Error{Op: opSFTP, Kind: KindProtocol, Stage: StageTransfer, Err: err, Text: excerpt([]byte(err.Error()))}
}

// read takes what the server sends until the end.
func (l *sftpLink) read(in *bufio.Reader) {
	if first, _ := in.Peek(5); len(first) == 5 && (first[4] != sftpVersion || binary.BigEndian.Uint32(first) > maxMessage) {
		noise, _ := in.Peek(min(in.Buffered(), maxExcerpt+1))
		l.end(&Error{Op: opSFTP, Kind: KindProtocol, Stage: StageChannel, Text: "not an sftp server: " + excerpt(noise)})
		return
	}
	for {
		if err := l.readOne(in); err != nil {
			var typed *Error
			if !errors.As(err, &typed) {
				err = l.failure(err)
			}
			l.end(err)
			return
		}
	}
}

func (l *sftpLink) readOne(in *bufio.Reader) error {
	var head [9]byte // length, type, id
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 5 || size > maxMessage {
		return &Error{Op: opSFTP, Kind: KindProtocol, Stage: StageTransfer, Text: "not an sftp server's answer: " + excerpt(head[:])}
	}
	id := binary.BigEndian.Uint32(head[5:])
	if id < ownIDs {
		all := append(head[:], make([]byte, size-5)...)
		if _, err := io.ReadFull(in, all[len(head):]); err != nil {
			return err
		}
		_, err := l.lib.Write(all)
		return err
	}
	l.mu.Lock()
	a := l.waiting[id]
	l.mu.Unlock()
	var body []byte
	if a != nil && a.pooled && head[4] == fxpData {
		body = dataFor(int(size - 5))
	} else {
		body = make([]byte, size-5)
	}
	if _, err := io.ReadFull(in, body); err != nil {
		return err
	}
	l.mu.Lock()
	a = l.waiting[id]
	delete(l.waiting, id)
	l.mu.Unlock()
	if a == nil {
		return &Error{Op: opSFTP, Kind: KindProtocol, Stage: StageTransfer, Text: "sftp server answers what was not asked"}
	}
	a.kind, a.data = head[4], body
	a.done <- a
	return nil
}

// begin gives a an id and a message that starts with it; the length is put in
// by send.
func (l *sftpLink) begin(kind byte, a *ask, room int) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	l.last = l.last + 1 | ownIDs
	l.waiting[l.last] = a
	m := append(make([]byte, 4, 9+room), kind)
	return binary.BigEndian.AppendUint32(m, l.last), nil
}

// send hands a message to the writer. A request that was not sent gets no
// answer, so that its ask is taken back.
func (l *sftpLink) send(ctx context.Context, m outgoing) error {
	_, err := l.sendOr(ctx, m, nil, nil)
	return err
}

// sendOr is send that takes answers meanwhile: each time that one comes it calls
// take and returns without having sent.
func (l *sftpLink) sendOr(ctx context.Context, m outgoing, answers <-chan *ask, take func(*ask)) (sent bool, err error) {
	binary.BigEndian.PutUint32(m.head, uint32(len(m.head)+len(m.body)-4))
	select {
	case l.out <- m:
		return true, nil
	case a := <-answers:
		take(a)
		return false, nil
	case <-ctx.Done():
		l.mu.Lock()
		delete(l.waiting, binary.BigEndian.Uint32(m.head[5:]))
		l.mu.Unlock()
		return false, ctx.Err()
	case <-l.over:
		return false, l.why()
	}
}

func (l *sftpLink) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// ask sends a request and waits for its answer.
func (l *sftpLink) ask(ctx context.Context, kind byte, put func([]byte) []byte) (*ask, error) {
	a := &ask{done: make(chan *ask, 1)}
	m, err := l.begin(kind, a, 256)
	if err != nil {
		return nil, err
	}
	if err := l.send(ctx, outgoing{head: put(m)}); err != nil {
		return nil, err
	}
	select {
	case <-a.done:
		return a, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// libWriter takes the library's messages, which come in pieces, and sends them
// whole.
type libWriter struct {
	l    *sftpLink
	part []byte
}

func (w *libWriter) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for len(w.part) >= 4 {
		size := 4 + int(binary.BigEndian.Uint32(w.part))
		if len(w.part) < size {
			break
		}
		m := w.part[:size:size]
		w.part = append([]byte(nil), w.part[size:]...)
		if err := w.l.send(context.Background(), outgoing{head: m}); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Close is called by the library when it ends, which is after the session has.
func (w *libWriter) Close() error { return nil }
