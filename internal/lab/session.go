package lab

import (
	"context"
	"io"
	"sync/atomic"

	"golang.org/x/crypto/ssh"

	"fleet/internal/remote"
)

// Shell answers one command of one host, as the login shell of its user would.
// It returns when the command has ended, which is soon after ctx ends: the
// client closed the channel or the connection, or sent a signal.
type Shell func(ctx context.Context, c *Command) Exit

// Command is one command as a host received it.
type Command struct {
	Host        *Host
	User        string
	Line        string   // exact
	Env         []string // NAME=value, as the client set
	TTY         bool     // the client asked for a terminal
	Interactive bool     // a shell was asked for; Line is empty
	Stdin       io.Reader
	Stdout      io.Writer // fails once the client is gone
	Stderr      io.Writer
}

// Exit is how a command ended: by exit status, or by a signal where one is
// named (without SIG).
type Exit struct {
	Status  int
	Signal  string
	Message string // beside a signal
}

// serveChannels answers everything a logged-in client asks for, until the
// connection ends.
func (w *wire) serveChannels(conn ssh.Conn, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	var open atomic.Int64
	listening := listeners{}
	defer listening.closeAll()
	for channels != nil || requests != nil {
		select {
		case nc, ok := <-channels:
			if !ok {
				channels = nil
				continue
			}
			w.openChannel(conn.User(), nc, &open)
		case r, ok := <-requests:
			if !ok {
				requests = nil
				continue
			}
			w.global(conn, listening, r)
		}
	}
}

func (w *wire) openChannel(user string, nc ssh.NewChannel, open *atomic.Int64) {
	b := w.host.behavior
	if b.open != nil && !b.open(w, nc) {
		return
	}
	if nc.ChannelType() == "direct-tcpip" {
		w.forward(nc)
		return
	}
	if nc.ChannelType() != "session" {
		nc.Reject(ssh.UnknownChannelType, "unknown channel type")
		return
	}
	if b.maxSessions > 0 && open.Load() >= b.maxSessions {
		nc.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	ch, requests, err := nc.Accept()
	if err != nil {
		return
	}
	open.Add(1)
	w.host.sessions.Add(1)
	s := &session{wire: w, user: user, host: w.host, ch: ch}
	// One more for serve's own goroutine: the connection's entry in running
	// is taken back only after this one was added.
	w.host.lab.running.Add(1)
	go func() {
		defer w.host.lab.running.Done()
		defer open.Add(-1)
		s.serve(requests)
	}()
}

// session is one session channel.
type session struct {
	wire    *wire
	host    *Host
	user    string
	ch      ssh.Channel
	env     []string
	tty     bool
	started bool
	stop    context.CancelCauseFunc
	done    chan struct{} // closed when the command has ended
	written atomic.Int64  // bytes of output, for faults that count them
	filed   atomic.Int64  // bytes of files, for the same

	sent  *remote.Sent // the command is supervised, and not by a real shell
	asked atomic.Bool  // it was asked to end by its lifeline
	input io.Closer    // what it reads, where that is sent; else nil
}

// signalError is why a command's context ended: the client's signal request.
type signalError string

func (e signalError) Error() string { return "signal " + string(e) }

// serve answers the channel's requests until the channel closes, and then waits
// for its command.
func (s *session) serve(requests <-chan *ssh.Request) {
	for r := range requests {
		ok := s.request(r)
		if r.WantReply && !(s.host.behavior.muteExec && isStart(r.Type)) {
			r.Reply(ok, nil)
		}
		if ok && isStart(r.Type) {
			s.start(r)
		}
	}
	if s.stop != nil {
		s.stop(context.Canceled)
		<-s.done
	}
	s.ch.Close()
}

func isStart(request string) bool {
	return request == "exec" || request == "shell" || request == "subsystem"
}

// request decides on one request; starting a command comes after the reply.
func (s *session) request(r *ssh.Request) bool {
	switch r.Type {
	case "env":
		var v struct{ Name, Value string }
		if ssh.Unmarshal(r.Payload, &v) != nil || len(s.env) >= 100 {
			return false
		}
		s.env = append(s.env, v.Name+"="+v.Value)
		return true
	case "pty-req":
		s.tty = true
		return true
	case "window-change":
		return true
	case "signal":
		var v struct{ Name string }
		if ssh.Unmarshal(r.Payload, &v) != nil || s.stop == nil {
			return false
		}
		s.stop(signalError(v.Name))
		return true
	case "exec", "shell":
		return !s.started && !s.host.behavior.denyExec
	case "subsystem":
		var v struct{ Name string }
		return ssh.Unmarshal(r.Payload, &v) == nil && v.Name == "sftp" && !s.started && !s.host.behavior.noSFTP
	}
	return false
}

// start runs the command of an exec request, or a whole shell.
func (s *session) start(r *ssh.Request) {
	s.started = true
	var v struct{ Command string }
	command := ""
	if r.Type == "exec" {
		if ssh.Unmarshal(r.Payload, &v) != nil {
			return
		}
		if _, _, isLook := remote.ParseLook(v.Command); !isLook {
			command = s.unwrap(v.Command)
			s.host.record(command)
		}
		if s.sent == nil {
			command = v.Command
		}
	}
	if s.host.behavior.muteExec {
		return
	}
	ctx, stop := context.WithCancelCause(context.Background())
	s.stop, s.done = stop, make(chan struct{})
	go func() {
		defer close(s.done)
		if r.Type == "subsystem" {
			s.serveSFTP()
			s.end(Exit{})
			return
		}
		if s.answerLook(ctx, command) {
			return
		}
		s.run(ctx, r.Type == "shell", command)
	}()
}

func (s *session) run(ctx context.Context, interactive bool, line string) {
	b := s.host.behavior
	c := &Command{
		Host: s.host, User: s.user, Interactive: interactive, Line: line, Env: s.env, TTY: s.tty,
		Stdin: s.ch, Stdout: s.ch, Stderr: s.ch.Stderr(),
	}
	for _, f := range b.output {
		c.Stdout, c.Stderr = f(ctx, s, c.Stdout), f(ctx, s, c.Stderr)
	}
	if s.sent != nil && !s.begin(ctx, c) {
		s.end(Exit{Status: 1})
		return
	}
	var exit Exit
	if b.run != nil {
		exit = b.run(ctx, s, c)
	} else {
		exit = s.host.lab.shell(ctx, c)
	}
	if s.sent != nil {
		s.finish()
	}
	if b.end != nil && !b.end(ctx, s, exit) {
		return
	}
	s.end(exit)
}

// end sends how the command ended and closes the channel.
func (s *session) end(exit Exit) {
	s.sendExit(exit)
	s.ch.CloseWrite()
	s.ch.Close()
}

// sendExit sends exit-status or exit-signal (RFC 4254, section 6.10).
func (s *session) sendExit(exit Exit) {
	if exit.Signal != "" {
		s.ch.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name    string
			Core    bool
			Message string
			Lang    string
		}{exit.Signal, false, exit.Message, ""}))
		return
	}
	s.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(exit.Status)}))
}
