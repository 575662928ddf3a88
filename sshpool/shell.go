package sshpool

import (
	"context"
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// PTY is a terminal that is asked for on the host (RFC 4254 section 6.2). Its
// zero value is one of 80 columns and 24 rows that knows no escape sequences.
type PTY struct {
	Term          string            // $TERM there; empty means "dumb"
	Columns, Rows int               // size in characters; 0 means 80 and 24
	Modes         ssh.TerminalModes // RFC 4254 section 8; nil leaves the host's
}

// request is the payload of the request pty-req.
func (p *PTY) request() []byte {
	term, columns, rows := p.Term, p.Columns, p.Rows
	if term == "" {
		term = "dumb"
	}
	if columns <= 0 || rows <= 0 {
		columns, rows = 80, 24
	}
	var modes []byte
	for _, op := range slices.Sorted(maps.Keys(p.Modes)) {
		modes = binary.BigEndian.AppendUint32(append(modes, op), p.Modes[op])
	}
	modes = append(modes, ttyOpEnd)
	return appendString(append(appendString(nil, term), windowSize(columns, rows)...), string(modes))
}

// ttyOpEnd ends a list of terminal modes (RFC 4254 section 8).
const ttyOpEnd = 0

// windowSize is a terminal's size in characters, and in pixels, which are not known.
func windowSize(columns, rows int) []byte {
	b := make([]byte, 0, 16)
	for _, n := range [...]int{columns, rows, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	return b
}

// Session is a command or shell under way. Its methods may be called at the
// same time; they send, and do not wait for the host.
type Session struct {
	r    *running
	done chan struct{} // closed with err and r.res set
	err  error
}

// Start runs cmd as Run does and returns once the host has agreed to run it.
// ctx is of the whole session: when it ends, so does the command, as with Run.
// Errors are as those of Run.
//
// With Become it asks for no terminal by itself where the host wants one: PTY does.
//
// Output is read as long as it comes: where a background child holds it open
// after the exit status, the session ends after DrainTime of silence.
func (c *Conn) Start(ctx context.Context, cmd Command) (*Session, error) {
	if cmd.Become != nil {
		if err := cmd.Become.check(); err != nil {
			return nil, err
		}
	}
	r, err := c.begin(ctx, cmd)
	if err != nil {
		return nil, err
	}
	r.patient = true
	s := &Session{r: r, done: make(chan struct{})}
	r.start(cmd)
	go func() {
		defer close(s.done)
		s.err = r.end()
	}()
	select {
	case <-r.ready:
	case <-s.done:
		select {
		case <-r.ready:
		default:
			return nil, s.err
		}
	}
	return s, nil
}

// Wait waits for the end of the session and tells how it ended, as Run does. It
// may be called any number of times.
func (s *Session) Wait() (ExecResult, error) {
	<-s.done
	return s.r.res, s.err
}

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Resize tells the host the size of the terminal, in characters (RFC 4254
// section 6.7). An error says that the session is over.
func (s *Session) Resize(columns, rows int) error {
	return s.send("window-change", windowSize(columns, rows))
}

// Signal sends a signal to the command: "INT", "TERM", "HUP" and the others of
// RFC 4254 section 6.10, without SIG. Hosts may ignore it: dropbear does, and
// OpenSSH passes signals on for users other than root only. With a terminal,
// writing the character for it (3 for Ctrl-C) always works. An error says that
// the session is over.
func (s *Session) Signal(name string) error {
	return s.send("signal", appendString(nil, name))
}

func (s *Session) send(request string, payload []byte) error {
	select {
	case <-s.done:
		return ErrClosed
	default:
	}
	if _, err := s.r.s.ch.SendRequest(request, false, payload); err != nil {
		return ErrClosed
	}
	return nil
}

// unquiet is how much longer the host must be silent before the drain time is
// over: what came last may have lain here, on a busy machine. A command that is
// not patient waits mostDrain for that and no longer.
func (r *running) unquiet() time.Duration {
	rest := DrainTime - min(r.out.quiet(), r.err.quiet())
	if !r.patient {
		rest = min(rest, mostDrain-time.Since(r.began.Add(r.res.Took)))
	}
	return rest
}

// mostDrain is the longest from a command's exit status to its result where
// something goes on writing.
const mostDrain = 5 * DrainTime

// ShellOptions say what shell to open.
type ShellOptions struct {
	// Command is run instead of the user's login shell.
	Command string
	// PTY, where not nil, asks for a terminal, which a shell needs to prompt, to
	// edit lines, to control jobs and to turn Ctrl-C into a signal.
	PTY *PTY
	// Env is set on the host, OfferEnv as far as the host accepts it; see Command.
	Env, OfferEnv []string
	// ForwardAgent is the socket of an agent that the host may use; see Command.
	ForwardAgent string
	// Stderr gets what comes on standard error, as Command's does; nil drops it.
	// With a PTY nothing does.
	Stderr io.Writer
}

// Shell is a shell under way, or a command, its streams in the caller's hands:
// Write goes to its input and Read gives its output. While nobody reads, the
// shell stands still once some 2 MiB wait. One goroutine may read while another
// writes. The owner calls Close, or reads to the end.
type Shell struct {
	*Session
	cancel context.CancelFunc
	stdin  *io.PipeWriter
	stdout *io.PipeReader
}

// Shell opens the user's login shell on the host, or runs o.Command. ctx is of
// the whole session: when it ends, so does the shell. Errors are as those of
// Run; KindPermission where the host gives no terminal.
func (c *Conn) Shell(ctx context.Context, o ShellOptions) (*Shell, error) {
	ctx, cancel := context.WithCancel(ctx)
	in, stdin := io.Pipe()
	stdout, out := io.Pipe()
	stop := context.AfterFunc(ctx, func() { out.CloseWithError(context.Cause(ctx)) })
	s, err := c.Start(ctx, Command{Text: o.Command, Shell: o.Command == "", PTY: o.PTY, Env: o.Env, OfferEnv: o.OfferEnv, ForwardAgent: o.ForwardAgent,
		Stdin: in, Stdout: out, Stderr: o.Stderr})
	if err != nil {
		cancel()
		in.Close()
		return nil, err
	}
	go func() {
		<-s.done
		stop()
		why := context.Cause(ctx) // what stop came too late for may not have run yet
		cancel()
		in.CloseWithError(ErrClosed)
		out.CloseWithError(why)
	}()
	return &Shell{Session: s, cancel: cancel, stdin: stdin, stdout: stdout}, nil
}

// Read gives output; io.EOF at its end, whatever ended it: Wait tells. After
// the end of the context or Close it gives that as its error.
func (s *Shell) Read(p []byte) (int, error) { return s.stdout.Read(p) }

// Write sends input. It waits while the shell does not take it, and gives
// ErrClosed when the session is over.
func (s *Shell) Write(p []byte) (int, error) { return s.stdin.Write(p) }

// CloseWrite ends the input. A shell without a terminal then ends when it has
// read all; on a terminal the end of input is a character, usually 4 (Ctrl-D).
func (s *Shell) CloseWrite() error { return s.stdin.Close() }

// Close ends the shell if it has not ended, and drops output that was not read.
func (s *Shell) Close() error {
	s.cancel()
	s.stdout.Close()
	<-s.done
	return nil
}
