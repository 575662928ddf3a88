package sshpool

import (
	"context"
	"encoding/binary"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/remote"
)

// DrainTime is how long the host must write nothing, after the exit status came,
// until output that a background child holds open is read no longer. A child that
// goes on writing is listened to for five times that.
const DrainTime = 2 * time.Second

// drainAgain is when to look again whether the output that came before the exit
// status has been passed on, where the writers are slow.
const drainAgain = DrainTime / 8

// Exec runs command on the host and waits for its end. Both writers may be
// nil. A command that ended by itself is no error, whatever its exit status;
// see Run for the errors.
func (c *Conn) Exec(ctx context.Context, command string, stdout, stderr io.Writer) (ExecResult, error) {
	return c.Run(ctx, Command{Text: command, Stdout: stdout, Stderr: stderr})
}

// Run runs cmd on the host and waits for its end. The result holds what was
// known by the end, also beside an error. When ctx ends, a supervised command is
// ended as Supervision says; any other is sent the signal TERM, its channel is
// closed, and Run returns: the command may have ignored that. One that has ended
// by then, and only left something that holds its output open, is no error.
//
// Errors are of type *Error: KindConnLost when the connection ended (Sent says
// whether the command may have run), KindNoStatus when the host closed the
// channel without telling how the command ended, KindTimeout in StageChannel
// when the host did not answer, KindSessionLimit, KindPermission when the host
// refuses to run commands, KindCanceled when ctx ended.
func (c *Conn) Run(ctx context.Context, cmd Command) (ExecResult, error) {
	if cmd.Become != nil {
		return c.runBecome(ctx, cmd)
	}
	res, _, err := c.run(ctx, cmd)
	return res, err
}

func (c *Conn) run(ctx context.Context, cmd Command) (ExecResult, remote.Denial, error) {
	r, err := c.begin(ctx, cmd)
	if err != nil {
		return ExecResult{}, "", err
	}
	r.start(cmd)
	if err = r.end(); r.sup != nil {
		return r.res, r.sup.denied, err
	}
	return r.res, "", err
}

// begin gets cmd a session.
func (c *Conn) begin(ctx context.Context, cmd Command) (*running, error) {
	if cmd.lends() {
		if err := c.agent.lend(&cmd); err != nil {
			return nil, &Error{Op: opExec, Kind: KindInternal, Stage: StageChannel, Err: err, Text: err.Error()}
		}
	}
	s, err := c.sessionOr(ctx, !cmd.noWait)
	if err != nil {
		c.takeBack(cmd.lends())
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = oneWriter(cmd.Stdout, cmd.Stderr)
	r := &running{lent: cmd.lends(),
		c: c, s: s, ctx: ctx, over: ctx.Done(), leave: cmd.leave, limit: newLimit(c.limits.Channel),
		out: sink{w: cmd.Stdout}, err: sink{w: cmd.Stderr},
		done: make(chan *sink, 2), replied: make(chan reply, 1), ready: make(chan struct{}), gone: make(chan struct{}), unread: make(chan error, 1)}
	if cmd.isSupervised() {
		r.sup = newSupervised(cmd)
		r.out.filter, r.err.filter = &r.sup.follow.Stdout, &r.sup.follow.Stderr
		if r.sup.become != nil {
			r.asks, r.begun = r.sup.follow.Asked, r.sup.follow.Begun()
		}
	}
	return r, nil
}

// end follows a command that was started to its end.
func (r *running) end() error {
	defer r.limit.stop()
	failure := r.wait()
	r.finish()
	if failure == nil {
		failure = cmpErr(r.out.err, r.err.err)
		if failure != nil {
			failure = &Error{Op: opExec, Kind: KindInternal, Stage: StageCommand, Err: failure, Sent: true,
				Text: "write output: " + failure.Error()}
		}
	}
	if r.sup != nil {
		failure = r.settle(failure)
	}
	return failure
}

// reply is the host's answer to the requests that start a command.
type reply struct {
	ok   bool
	what string // the request that was answered
	err  error
}

// running is a command under way.
type running struct {
	c        *Conn
	s        *opening
	ctx      context.Context
	res      ExecResult
	began    time.Time
	out, err sink
	done     chan *sink // a stream has ended
	replied  chan reply
	limit    limit // of the reply, later of the drain
	bound    func(int)
	exited   bool // exit-status or exit-signal came
	closed   bool // the channel is closed and will say no more

	lent    bool          // an agent is lent to the host until the end
	patient bool          // the drain time is one of silence
	ready   chan struct{} // closed when the host has agreed to run the command

	sup     *supervised     // nil: the command is sent as it is
	over    <-chan struct{} // the caller has given the command up; nil once that was seen
	leave   <-chan struct{} // and does not wait for its end
	gone    chan struct{}   // closed when the command is done with
	unread  chan error      // the input could not be read to its end
	asks    <-chan struct{} // the host asks for the password of another user
	begun   <-chan struct{} // closed when that one's command has begun; nil once that was seen
	looks   *time.Ticker    // for questions meanwhile that nobody can answer; nil before and after
	givenUp bool
	why     error // of that
	left    bool
	ending  bool            // the guard was asked to end the command
	awaits  <-chan struct{} // closed when a command that was given up can be ended; nil where that is not waited for
	beside  chan looked     // what is left of it, asked for before its channel is closed; nil where that is not under way
	looked  *looked         // and the answer

	telling sync.Mutex  // see tell
	told    atomic.Bool // nothing more is to be told
}

// start sends the command and reads its streams.
func (r *running) start(cmd Command) {
	r.began = time.Now()
	r.bound = r.c.wire.stock.command
	if cmd.Stdin != nil { // what is sent may depend on what has come
		r.bound = r.c.wire.stock.other
	}
	r.bound(1)
	go r.copy(&r.out, r.s.ch)
	go func() {
		r.replied <- r.request(cmd)
		r.copy(&r.err, r.s.ch.Stderr())
	}()
}

// request sends the requests that start the command and gives the answer to
// the first that was refused, else to the last.
func (r *running) request(cmd Command) reply {
	ch := r.s.ch
	if refused := r.prepare(cmd); refused != nil {
		return *refused
	}
	what, request, payload := "command", "exec", []byte(nil)
	if cmd.Shell {
		what, request = "shell", "shell"
	} else {
		text := cmd.Text
		if r.sup != nil {
			text = r.sup.line()
		}
		payload = appendString(make([]byte, 0, 4+len(text)), text)
	}
	ok, err := ch.SendRequest(request, true, payload)
	switch {
	case ok && r.sup != nil:
		if cmd.Stdin != nil || cmd.Payload != "" {
			go r.feed(cmd.Stdin)
		}
	case ok && cmd.Stdin == nil:
		ch.CloseWrite()
	case ok:
		go r.send(cmd.Stdin)
	}
	return reply{ok, what, err}
}

// prepare sends the requests that come before the command; nil if all were
// granted.
func (r *running) prepare(cmd Command) *reply {
	ch := r.s.ch
	for _, kv := range cmd.OfferEnv {
		k, v, _ := strings.Cut(kv, "=")
		if _, err := ch.SendRequest("env", false, appendString(appendString(nil, k), v)); err != nil {
			return &reply{false, "environment variable " + k, err}
		}
	}
	for _, kv := range cmd.Env {
		k, v, _ := strings.Cut(kv, "=")
		if ok, err := ch.SendRequest("env", true, appendString(appendString(nil, k), v)); !ok {
			return &reply{false, "environment variable " + k, err}
		}
	}
	if cmd.lends() {
		if ok, err := r.c.requestAgent(ch); !ok {
			return &reply{false, "agent forwarding", err}
		}
	}
	if cmd.PTY != nil {
		if ok, err := ch.SendRequest("pty-req", true, cmd.PTY.request()); !ok {
			return &reply{false, "terminal", err}
		}
	}
	return nil
}

// appendString appends a string as RFC 4251 section 5 writes it.
func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// wait follows the command to its end.
func (r *running) wait() error {
	ended := 0
	for {
		var looks <-chan time.Time
		if r.looks != nil {
			looks = r.looks.C
		}
		if ended == 2 && (r.exited || r.closed) {
			if err := r.heard(); err != nil {
				return err
			}
			return r.verdict()
		}
		select {
		case req, ok := <-r.s.reqs:
			if !ok {
				r.closed, r.s.reqs = true, nil
				continue
			}
			r.note(req)
		case a := <-r.replied:
			r.replied = nil
			if err := r.answered(a); err != nil {
				return err
			}
		case <-r.done:
			ended++
		case <-r.limit.c:
			if over, err := r.late(); over {
				return err
			}
		case <-r.asks:
			if !r.answer() {
				r.stop()
				return nil
			}
		case <-looks:
			if r.askedInVain() {
				r.stop()
				return nil
			}
		case <-r.begun:
			r.becomeDone()
		case err := <-r.unread:
			if over, err := r.cannotRead(err); over {
				return err
			}
		case <-r.over:
			r.over = nil
			if over, err := r.giveUp(r.canceled()); over {
				return err
			}
		case <-r.awaits:
			if r.awaits = nil; !r.endBeside() {
				r.stop()
				return r.why
			}
		case got := <-r.beside:
			r.beside, r.looked = nil, &got
			r.stop()
			return r.why
		case <-r.leave:
			r.givenUp, r.left = true, true
			r.stop()
			return r.canceled()
		}
	}
}

// late says what the end of the limit means: whether the command is over, and
// with which error.
func (r *running) late() (over bool, err error) {
	if r.givenUp {
		r.stop()
		return true, nil
	}
	if r.begun != nil && r.replied == nil && !r.exited {
		r.stop()
		e := timeoutError(opExec, StageBecome, r.becomeLimit())
		e.Sent = true
		return true, e
	}
	if r.exited && (r.out.behind() || r.err.behind()) {
		r.limit = newLimit(drainAgain)
		return false, nil
	}
	if r.exited {
		if rest := r.unquiet(); rest > 0 {
			r.limit = newLimit(rest)
			return false, nil
		}
		r.res.Lingering = true
		return true, nil
	}
	r.c.retire()
	e := timeoutError(opExec, StageChannel, r.c.limits.Channel)
	e.Sent = true
	return true, e
}

// canceled is the error of a command that its caller gave up.
func (r *running) canceled() error {
	e := canceledError(r.ctx, opExec, StageCommand)
	e.Sent = true
	return e
}

// note takes a request of the host on the command's channel (RFC 4254 section 6.10).
func (r *running) note(req *ssh.Request) {
	switch p := req.Payload; {
	case r.exited:
	case req.Type == "exit-status" && len(p) == 4:
		r.res.ExitCode, r.res.HasExit = int(binary.BigEndian.Uint32(p)), true
		r.drain()
	case req.Type == "exit-signal":
		var m struct {
			Signal string
			Core   bool
			Text   string
			Lang   string
		}
		if ssh.Unmarshal(p, &m) == nil {
			r.res.Signal, r.res.SignalText = signalName(m.Signal), excerpt([]byte(m.Text))
			r.drain()
		}
	}
	req.Reply(false, nil)
}

// drain starts the drain time.
func (r *running) drain() {
	r.exited = true
	r.res.Took = time.Since(r.began)
	r.out.exited.Store(r.out.n.Load())
	r.err.exited.Store(r.err.n.Load())
	if r.ending { // until the guard has told
		return
	}
	r.limit.stop()
	r.limit = newLimit(DrainTime)
}

// signalName keeps what a signal name may consist of.
func signalName(s string) string {
	const most = 32
	s = strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.@+", c) || c >= 'a' && c <= 'z' {
			return c
		}
		return '?'
	}, s[:min(len(s), most)])
	if s == "" {
		return "?"
	}
	return s
}

// answered takes the host's answer to the request to run the command.
func (r *running) answered(a reply) error {
	switch {
	case a.ok:
		close(r.ready)
		if r.givenUp { // and its end is waited for, with a limit
			r.endSupervised()
			return nil
		}
		if r.begun != nil && !r.exited {
			r.limit.stop()
			r.limit, r.looks = newLimit(r.becomeLimit()), time.NewTicker(questionWait)
			return nil
		}
		if !r.exited && !r.ending {
			r.limit.stop()
			r.limit = limit{}
		}
		return nil
	case a.err != nil:
		return nil // the channel is closed: wait for the rest and judge by that
	}
	r.givenUp = false // there is nothing to end
	return &Error{Op: opExec, Kind: KindPermission, Stage: StageChannel, Text: a.what + " refused by the host"}
}

// heard takes the host's answer, if it was not taken yet, once the streams have
// ended: it came before that, and all that came may be taken in any order.
func (r *running) heard() error {
	if r.replied == nil {
		return nil
	}
	a := <-r.replied
	r.replied = nil
	return r.answered(a)
}

// verdict judges a command whose streams have ended.
func (r *running) verdict() error {
	if r.exited {
		return nil
	}
	r.res.Took = time.Since(r.began)
	ctx, cancel := context.WithTimeout(r.ctx, DrainTime)
	defer cancel()
	if _, err := r.c.Ping(ctx); err != nil {
		if r.ctx.Err() != nil {
			e := canceledError(r.ctx, opExec, StageCommand)
			e.Sent = true
			return e
		}
		if ctx.Err() != nil {
			r.c.kill(&Error{Kind: KindConnLost, Text: "connection lost: no answer"})
		}
		e := r.c.lost(r.ctx, StageCommand)
		e.Sent = true
		return e
	}
	return &Error{Op: opExec, Kind: KindNoStatus, Stage: StageCommand, Sent: true,
		Text: "channel closed without an exit status"}
}
