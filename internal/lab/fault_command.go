package lab

import (
	"context"
	"io"
	"time"
)

// noise is text that would harm a terminal that showed it as it is: colours,
// a cursor that moves, a title, a forged prompt, a C1 control, a bidi override,
// and bytes that are no UTF-8.
const noise = "\x1b[2J\x1b[1;1H\x1b]0;owned\x07\x1b[31mred\r\nweb99: forged\x9b5m\u202etxt\x00\xff\xfe\x1b]52;c;Zm9v\x1b\\\n"

// commandFaults go wrong once a command was received.
func commandFaults() []fault {
	return []fault{
		{"noisy", "", "escape sequences before the output of every command, as from a bad .bashrc",
			func(b *behavior, _ value) {
				b.onOutput(func(_ context.Context, _ *session, to io.Writer) io.Writer {
					io.WriteString(to, noise)
					return to
				})
			}},
		{"slow-output", "RATE", "output comes at RATE bytes a second",
			func(b *behavior, v value) {
				rate := max(1, v.bytes())
				b.onOutput(func(ctx context.Context, _ *session, to io.Writer) io.Writer {
					return &slowWriter{ctx: ctx, to: to, rate: rate}
				})
			}},
		{"flood", "", "every command writes without end",
			func(b *behavior, _ value) { b.run = flood }},
		{"cut", "K", "the connection is cut after K bytes of output",
			func(b *behavior, v value) { b.after(v.bytes(), func(s *session) { s.wire.cut() }) }},
		{"freeze-after", "K", "the connection freezes after K bytes of output, as after SIGSTOP",
			func(b *behavior, v value) { b.after(v.bytes(), func(s *session) { s.wire.freeze() }) }},
		{"signal", "", "every command ends by SIGKILL, with escape sequences in the message",
			func(b *behavior, _ value) {
				b.end = func(_ context.Context, s *session, _ Exit) bool {
					s.end(Exit{Signal: "KILL", Message: noise})
					return false
				}
			}},
		{"no-status", "", "the channel is closed without an exit status",
			func(b *behavior, _ value) {
				b.end = func(_ context.Context, s *session, _ Exit) bool {
					s.ch.CloseWrite()
					s.ch.Close()
					return false
				}
			}},
		{"linger", "", "the exit status comes, but the output stays open",
			func(b *behavior, _ value) {
				b.end = func(ctx context.Context, s *session, e Exit) bool {
					s.sendExit(e)
					<-ctx.Done()
					return false
				}
			}},
	}
}

// after calls f once a command has written k bytes, and lets no more pass.
func (b *behavior) after(k int64, f func(s *session)) {
	b.onOutput(func(ctx context.Context, s *session, to io.Writer) io.Writer {
		return writerFunc(func(p []byte) (int, error) {
			before := s.written.Add(int64(len(p))) - int64(len(p))
			if pass := min(k-before, int64(len(p))); pass > 0 {
				if n, err := to.Write(p[:pass]); err != nil {
					return n, err
				}
			}
			if before+int64(len(p)) >= k {
				f(s)
				<-ctx.Done()
				return 0, io.ErrClosedPipe
			}
			return len(p), nil
		})
	})
	// A command that wrote less is caught at its end.
	b.end = func(ctx context.Context, s *session, _ Exit) bool {
		f(s)
		<-ctx.Done()
		return false
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func flood(ctx context.Context, _ *session, c *Command) Exit {
	block := make([]byte, 0, 32<<10)
	for len(block) < 32<<10-64 {
		block = append(block, "all work and no play makes a host a dull host\n"...)
	}
	for ctx.Err() == nil {
		if _, err := c.Stdout.Write(block); err != nil {
			break
		}
	}
	return Exit{Signal: "PIPE"}
}

// slowWriter passes on rate bytes a second, in up to ten pieces a second.
type slowWriter struct {
	ctx  context.Context
	to   io.Writer
	rate int64
}

func (w *slowWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		piece := min(len(p)-done, int(max(1, w.rate/10)))
		select {
		case <-time.After(time.Duration(piece) * time.Second / time.Duration(w.rate)):
		case <-w.ctx.Done():
			return done, io.ErrClosedPipe
		}
		n, err := w.to.Write(p[done : done+piece])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
