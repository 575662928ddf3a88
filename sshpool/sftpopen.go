package sshpool

import (
	"context"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// openSFTP opens a session and an SFTP client on it, by the given way.
func (c *Conn) openSFTP(ctx context.Context, way Way) (*SFTP, error) {
	o, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	started := make(chan reply, 1)
	go func() {
		ok, err := o.ch.SendRequest("subsystem", true, appendString(nil, "sftp"))
		started <- reply{ok: ok, err: err}
	}()
	select {
	case r := <-started:
		if !r.ok {
			c.letGo(o)
			if r.err != nil && !c.usable() {
				return nil, c.lost(ctx, StageChannel)
			}
			return nil, &Error{Op: opSFTP, Kind: KindPermission, Stage: StageChannel, Err: r.err, Text: "sftp subsystem refused by the host"}
		}
	case <-ctx.Done():
		c.letGo(o)
		return nil, gaveUp(ctx, opSFTP, StageChannel)
	}
	return c.clientOn(ctx, o, way)
}

// clientOn makes a client of a session on which a server was started.
func (c *Conn) clientOn(ctx context.Context, o *opening, way Way) (*SFTP, error) {
	c.wire.stock.other(1) // until the end
	go drain(o.ch.Stderr())
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
	go l.write()
	go l.read()
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
	l.maxRead, l.maxWrite = smallChunk, smallChunk
	if _, ok := s.Offers(extLimits); ok {
		l.askLimits(ctx)
	}
	return s, nil
}

func drain(r interface{ Read([]byte) (int, error) }) {
	buf := make([]byte, 512)
	for {
		if _, err := r.Read(buf); err != nil {
			return
		}
	}
}

// askLimits asks how long reads and writes may be (limits@openssh.com: OpenSSH
// PROTOCOL, section 4.8).
func (l *sftpLink) askLimits(ctx context.Context) {
	a, err := l.ask(ctx, fxpExtended, func(m []byte) []byte { return appendString(m, extLimits) })
	m, err := a.expect(fxpReply, err)
	if err != nil {
		return
	}
	m.uint64() // longest packet
	read, write := m.uint64(), m.uint64()
	const most = maxMessage - 1024
	if !m.bad {
		if read >= smallChunk {
			l.maxRead = int(min(read, most))
		}
		if write >= smallChunk {
			l.maxWrite = int(min(write, most))
		}
	}
}
