package lab

import (
	"bufio"
	"bytes"
	"context"
	"io"

	"fleet/internal/remote"
)

// A host of the lab has no shell that could run the lines of sh which fleet puts
// in front of a command. It knows them when it sees them, runs the command alone,
// and does by itself what they do.

// real says that the shell of the hosts is one.
func (l *Lab) real() bool { return l.cfg.RealShell && l.cfg.Shell == nil }

// unwrap finds the command within what was sent, for hosts that have no real
// shell.
func (s *session) unwrap(line string) string {
	sent, ok := remote.ParseLine(line)
	if !ok {
		return line
	}
	if !s.host.lab.real() {
		s.sent = &sent
	}
	return sent.Spec.Command
}

// begin does what comes before the command, and follows its lifeline; ok is false
// where the command is not to run, as not all of its payload came.
func (s *session) begin(ctx context.Context, c *Command) (ok bool) {
	if s.sent.Size > 0 && !s.takePayload(c) {
		return false
	}
	pid := int(1000 + s.host.sessions.Load())
	line := s.sent.Begins(remote.Began{PID: pid, Guard: pid + 1})
	io.WriteString(s.ch, line)
	io.WriteString(s.ch.Stderr(), line)
	s.host.lab.supervised.Store(s.sent.Nonce, s)
	if s.sent.Spec.Stdin || s.sent.Spec.TTY {
		s.endInput(ctx, c)
		return true
	}
	in := c.Stdin
	c.Stdin = bytes.NewReader(nil)
	s.host.lab.running.Add(1)
	go func() { // until the channel is closed
		defer s.host.lab.running.Done()
		_, err := bufio.NewReader(in).ReadString('\n')
		if err == nil || !s.sent.Spec.Keep {
			s.asked.Store(true)
			s.stop(signalError("TERM"))
		}
	}()
	return true
}

// endInput has the command's input end with ctx, so that what reads it can be
// ended while the channel is open.
func (s *session) endInput(ctx context.Context, c *Command) {
	from := c.Stdin
	r, w := io.Pipe()
	c.Stdin = r
	context.AfterFunc(ctx, func() { w.Close() })
	s.input = r
	s.host.lab.running.Add(1)
	go func() { // until the channel is closed
		defer s.host.lab.running.Done()
		io.Copy(w, from)
		w.Close()
	}()
}

// takePayload reads variables, which become part of the command's environment,
// and a script, which stands in for the command: what interpreter it names does
// not matter here.
func (s *session) takePayload(c *Command) (ok bool) {
	io.WriteString(s.ch, s.sent.Ready())
	sent := make([]byte, s.sent.Size)
	if _, err := io.ReadFull(c.Stdin, sent); err != nil {
		return false
	}
	payload, whole := s.sent.Payload(string(sent))
	if !whole {
		return false
	}
	vars, script, isScript := remote.SplitPayload(payload)
	if isScript {
		c.Line = script
	}
	in := &interpreter{ctx: context.Background(), host: s.host, user: s.user, vars: map[string]string{}}
	in.script(vars, streams{bytes.NewReader(nil), io.Discard, io.Discard})
	for name, value := range in.vars {
		c.Env = append(c.Env, name+"="+value)
	}
	return true
}

// finish tells how the command was ended, if it was.
func (s *session) finish() {
	if s.input != nil {
		s.input.Close()
	}
	if s.asked.Load() {
		io.WriteString(s.ch.Stderr(), s.sent.Ends(remote.Report{}))
	}
	s.host.lab.supervised.Delete(s.sent.Nonce)
}

// answerLook ends the command that is asked for, if that is wanted, and says
// that nothing is left of it.
func (s *session) answerLook(ctx context.Context, line string) bool {
	if s.host.lab.real() {
		return false
	}
	sent, end, ok := remote.ParseLook(line)
	if !ok {
		return false
	}
	if v, found := s.host.lab.supervised.Load(sent.Nonce); found {
		other := v.(*session)
		if end {
			other.stop(signalError("TERM"))
		}
		select {
		case <-other.done:
		case <-ctx.Done():
		}
	}
	io.WriteString(s.ch, sent.Ends(remote.Report{}))
	s.end(Exit{})
	return true
}
