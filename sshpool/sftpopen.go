package sshpool

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// SFTP starts an SFTP server on the host and gives a client of it, which is the
// caller's to close: its sftp subsystem, or where there is none, or where the
// user's shell writes something of its own before it, the server's program run
// as a command. c's Limits.Channel bounds each of the two.
//
// Errors are of type *Error: KindPermission where the host refuses SFTP in all
// its ways, KindProtocol where something else answers (Text quotes its first
// bytes), KindTimeout in StageChannel where nothing does, and as for Run.
func (c *Conn) SFTP(ctx context.Context) (*SFTP, error) {
	s, err := c.sftpBy(ctx, WaySubsystem)
	if err == nil || ctx.Err() != nil || !c.usable() {
		return s, err
	}
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindPermission && e.Kind != KindProtocol && e.Kind != KindTimeout {
		return nil, err
	}
	if s, serverErr := c.sftpBy(ctx, WayServer); serverErr == nil {
		return s, nil
	}
	return nil, err
}

// sftpBy opens a session and an SFTP client on it.
func (c *Conn) sftpBy(ctx context.Context, way Way) (*SFTP, error) {
	if limit := c.limits.Channel; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, timeoutError(opSFTP, StageChannel, limit))
		defer cancel()
	}
	o, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	request, text, marker := "subsystem", "sftp", ""
	if way == WayServer {
		request = "exec"
		text, marker = serverScript()
	}
	started := make(chan reply, 1)
	go func() {
		ok, err := o.ch.SendRequest(request, true, appendString(nil, text))
		started <- reply{ok: ok, err: err}
	}()
	select {
	case r := <-started:
		if !r.ok {
			c.letGo(o)
			if r.err != nil && !c.usable() {
				return nil, c.lost(ctx, StageChannel)
			}
			return nil, &Error{Op: opSFTP, Kind: KindPermission, Stage: StageChannel, Err: r.err, Text: request + " refused by the host"}
		}
	case <-ctx.Done():
		c.letGo(o)
		return nil, gaveUp(ctx, opSFTP, StageChannel)
	}
	return c.clientOn(ctx, o, way, marker)
}

// serverScript is a command that runs the program of an SFTP server, where
// systems keep it, after a line that is marker.
func serverScript() (script, marker string) {
	var b [8]byte
	rand.Read(b[:])
	marker = "fleet-sftp-" + hex.EncodeToString(b[:])
	return shellScript(`PATH=$PATH:/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh:/usr/lib64/ssh:/usr/lib64/misc:/usr/libexec:/usr/lib/misc:/usr/local/libexec:/usr/local/lib/openssh
s=$(command -v sftp-server || command -v gesftpserver) && echo && echo ` + marker + ` && exec "$s"`), marker
}

// clientOn makes a client of a session on which a server was started.
func (c *Conn) clientOn(ctx context.Context, o *opening, way Way, marker string) (*SFTP, error) {
	c.wire.stock.other(1) // until the end
	go io.Copy(io.Discard, o.ch.Stderr())
	go func() {
		ssh.DiscardRequests(o.reqs)
		c.slots.give()
	}()
	l, answers := newSFTPLink(c, o.ch, func() { c.wire.stock.other(-1) })
	s := &SFTP{conn: c, link: l, way: way}
	type result struct {
		lib *sftp.Client
		err error
	}
	got := make(chan result, 1)
	go func() {
		lib, err := sftp.NewClientPipe(answers, &libWriter{l: l})
		got <- result{lib, err}
	}()
	go func() {
		in := bufio.NewReaderSize(o.ch, 4<<10)
		if err := skipTo(in, marker); err != nil {
			l.end(&Error{Op: opSFTP, Kind: KindPermission, Stage: StageChannel, Err: err, Text: "no sftp server found on the host"})
			return
		}
		go l.write() // not before the marker: the shell might read it
		l.read(in)
	}()
	select {
	case r := <-got:
		if r.err != nil {
			if why := l.why(); why != nil {
				return nil, why
			}
			l.end(ErrClosed)
			return nil, &Error{Op: opSFTP, Kind: KindProtocol, Stage: StageChannel, Err: r.err, Text: excerpt([]byte(r.err.Error()))}
		}
		s.paths = r.lib
	case <-ctx.Done():
		l.end(ErrClosed)
		return nil, gaveUp(ctx, opSFTP, StageChannel)
	}
	if _, ok := s.Offers(extLimits); ok {
		go l.askLimits()
	}
	return s, nil
}

// maxNoise bounds what a shell may write before the marker.
const maxNoise = 1 << 20

// skipTo reads up to a line that is marker, if it is not empty.
func skipTo(in *bufio.Reader, marker string) error {
	if marker == "" {
		return nil
	}
	for read := 0; read < maxNoise; {
		line, err := in.ReadSlice('\n')
		if string(bytes.TrimRight(line, "\r\n")) == marker {
			return nil
		}
		if read += len(line); err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
	return errors.New("endless noise")
}

// page is what pieces of files are multiples of, so that none is written twice.
const page = 4 << 10

// askLimits asks how long reads and writes may be (limits@openssh.com: OpenSSH
// PROTOCOL, section 4.8). Until the answer comes they are short.
func (l *sftpLink) askLimits() {
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	a, err := l.ask(ctx, fxpExtended, func(m []byte) []byte { return appendString(m, extLimits) })
	m, err := a.expect(fxpReply, err)
	if err != nil {
		return
	}
	m.uint64() // longest packet
	read, write := m.uint64(), m.uint64()
	const most = (maxMessage - 1024) &^ (page - 1)
	if !m.bad {
		if read >= smallChunk {
			l.maxRead.Store(int64(min(read&^(page-1), most)))
		}
		if write >= smallChunk {
			l.maxWrite.Store(int64(min(write&^(page-1), most)))
		}
	}
}
