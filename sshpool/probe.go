package sshpool

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Messages of the SFTP protocol's opening (draft-ietf-secsh-filexfer-02
// section 4), whose version 3 is what servers speak.
const (
	sftpInit    = 1
	sftpVersion = 2
	sftpAnswer  = 9 // bytes of an answer up to the version: length, type, version
)

// SFTPVersion asks the host for its sftp subsystem and gives the version of the
// protocol that answers there. Errors are of type *Error: KindPermission when
// the host refuses the subsystem, KindProtocol when something else than an SFTP
// server answers (Text quotes its first bytes), and as for Run.
func (c *Conn) SFTPVersion(ctx context.Context) (int, error) {
	s, err := c.session(ctx)
	if err != nil {
		return 0, err
	}
	defer c.letGo(s)
	type answer struct {
		version int
		err     error
	}
	got := make(chan answer, 1)
	go func() {
		v, err := openSFTP(s.ch)
		got <- answer{v, err}
	}()
	limit := newLimit(c.limits.Channel)
	defer limit.stop()
	select {
	case a := <-got:
		if a.err != nil && !c.usable() {
			return 0, c.lost(ctx, StageChannel)
		}
		return a.version, a.err
	case <-ctx.Done():
		return 0, canceledError(ctx, opExec, StageChannel)
	case <-limit.c:
		return 0, timeoutError(opExec, StageChannel, c.limits.Channel)
	}
}

// letGo closes a session and gives its slot back when the host has done so too.
func (c *Conn) letGo(s *opening) (gone <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ch.Close()
		ssh.DiscardRequests(s.reqs)
		c.slots.give()
	}()
	return done
}

// openSFTP starts the subsystem and reads the first answer of its server.
func openSFTP(ch ssh.Channel) (int, error) {
	ok, err := ch.SendRequest("subsystem", true, appendString(nil, "sftp"))
	if !ok || err != nil {
		return 0, &Error{Op: opExec, Kind: KindPermission, Stage: StageChannel, Err: err, Text: "sftp subsystem refused by the host"}
	}
	hello := append(binary.BigEndian.AppendUint32(nil, 5), sftpInit, 0, 0, 0, 3)
	if _, err := ch.Write(hello); err != nil {
		return 0, &Error{Op: opExec, Kind: KindProtocol, Stage: StageChannel, Err: err, Text: "sftp server ended at once"}
	}
	buf := make([]byte, 0, maxExcerpt+1)
	for len(buf) < sftpAnswer {
		n, err := ch.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err != nil && len(buf) == 0 {
			return 0, &Error{Op: opExec, Kind: KindProtocol, Stage: StageChannel, Err: err, Text: "sftp server ended at once"}
		}
		if err != nil {
			break
		}
	}
	const longest = 256 << 10
	if len(buf) < sftpAnswer || binary.BigEndian.Uint32(buf) > longest || buf[4] != sftpVersion {
		return 0, &Error{Op: opExec, Kind: KindProtocol, Stage: StageChannel, Text: "not an sftp server: " + excerpt(buf)}
	}
	return int(binary.BigEndian.Uint32(buf[5:])), nil
}

// CountSessions opens sessions, one after the other, until the host refuses one
// or most are open at once, and closes them again. It gives how many were open,
// and whether it was the host that wanted no more (sshd_config(5),
// MaxSessions). Sessions that are still ending are waited for, a second at most;
// nothing else should be done with the connection meanwhile.
func (c *Conn) CountSessions(ctx context.Context, most int) (open int, refused bool, err error) {
	var held []*opening
	defer func() {
		var all sync.WaitGroup
		for _, s := range held {
			gone := c.letGo(s)
			all.Go(func() {
				select {
				case <-gone:
				case <-ctx.Done():
				case <-c.done:
				}
			})
		}
		all.Wait()
	}()
	first := c.takeFirst()
	for end := time.Now().Add(time.Second); c.slots.others(first != nil) > 0 && time.Now().Before(end); {
		if !c.pause(ctx, minSessionRetry) {
			return 0, false, c.noSession(ctx)
		}
	}
	for open < most {
		s := first
		if first = nil; s == nil {
			c.slots.add()
			s = c.open(nil)
		}
		if err := c.await(ctx, s); err != nil {
			return open, false, err
		}
		if s.err == nil {
			c.slots.opened()
			held = append(held, s)
			open++
			continue
		}
		var refusal *ssh.OpenChannelError
		if !errors.As(s.err, &refusal) {
			c.slots.give()
			return open, false, c.lost(ctx, StageChannel)
		}
		c.slots.refused()
		return open, true, nil
	}
	return open, false, nil
}

// others counts the sessions open, without the one that was opened ahead.
func (s *sessionSlots) others(ahead bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ahead {
		return s.open - 1
	}
	return s.open
}

// add takes a slot whatever the limit is thought to be.
func (s *sessionSlots) add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
}
