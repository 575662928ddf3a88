package sshpool

import (
	"bytes"
	"crypto/rand"
	"io"
	"time"

	"fleet/internal/remote"
)

// Supervision has a command end on its host, with all that it started, when its
// caller gives it up or the connection is lost: by a few lines of POSIX sh that
// are sent before it. They need /bin/sh on the host and no more, and cost no
// round trip.
//
// When the context of Run ends, every process in the command's session, and what
// descends from it, gets TERM, after KillAfter KILL; then the host looks whether
// all are gone and Supervised tells. Run returns within KillAfter and some
// seconds. What the command left in the background when it ended by itself is
// not touched.
//
// What the login shell wrote before the command's first byte is cut off the
// output. Standard input is the host's lifeline: without Command.Stdin the command
// has none, with it the host looks once a second instead, so that it finds a lost
// connection a second later.
type Supervision struct {
	KillAfter   time.Duration // from TERM to KILL; 0 is DefaultKillAfter
	KeepRunning bool          // a lost connection does not end the command
	Shell       string        // reads Command.Text; empty is the user's login shell
	Dir         string        // to run in; "~" is the user's home
}

// DefaultKillAfter is the time that a command has to end after TERM.
const DefaultKillAfter = 5 * time.Second

// Supervised is what is known of a supervised command beside its end.
type Supervised struct {
	PID        int    // of the command on its host; 0 where it did not begin
	Noise      string // the beginning of what was cut off before the output; made safe
	NoiseBytes int64  // all of that
	Killed     bool   // the command was given up, and all of it is gone from the host
	Unkilled   bool   // it was given up, and whether it is gone is not known, or it is not
	Left       []int  // processes that were still there at the end, if that is known
}

// supervised is what running has of a supervised command.
type supervised struct {
	spec   remote.Spec
	nonce  string
	follow *remote.Follower
	grace  time.Duration
	become *Become
	given  bool // the password was sent
	// question is what the host asked at the last look and nobody can answer.
	question string
	inVain   bool          // it was asked for so long that the command was given up
	denied   remote.Denial // why the command's user could not be become
}

func newSupervised(cmd Command) *supervised {
	how := cmd.Supervise
	if how == nil {
		how = &Supervision{}
	}
	s := &supervised{nonce: rand.Text(), grace: how.KillAfter, become: cmd.Become}
	if s.grace <= 0 {
		s.grace = DefaultKillAfter
	}
	s.spec = remote.Spec{Command: cmd.Text, Shell: how.Shell, Dir: how.Dir, Grace: s.grace, Payload: cmd.Payload,
		Keep: how.KeepRunning, Stdin: cmd.Stdin != nil, TTY: cmd.PTY != nil && !cmd.terminal, Terminal: cmd.terminal}
	if b := cmd.Become; b != nil {
		s.spec.Become = b.remote()
	}
	s.follow = remote.NewFollower(&s.spec, s.nonce)
	return s
}

// isSupervised says that a command is sent behind a supervisor.
func (cmd *Command) isSupervised() bool {
	return cmd.Supervise != nil || cmd.Become != nil || cmd.Payload != ""
}

func (s *supervised) line() string { return s.spec.Line(s.nonce) }

// polled says that the command has the standard input, so that the host cannot
// be told there to end it.
func (s *supervised) polled() bool { return s.spec.Stdin || s.spec.TTY }

// Waits beyond the grace that a command has, in which the host ends it by KILL
// (three seconds), looks, and tells.
const (
	endSlack  = 5 * time.Second
	lookSlack = 4 * time.Second
)

// tell sends what is not the command's input, one text at a time: the library has
// one buffer a channel for what is written. The end cuts a text off, and is the last.
func (r *running) tell(text string) {
	r.telling.Lock()
	defer r.telling.Unlock()
	for len(text) > 0 && !r.told.Load() {
		n := min(len(text), tellPiece)
		if _, err := io.WriteString(r.s.ch, text[:n]); err != nil {
			return
		}
		text = text[n:]
	}
}

const tellPiece = 32 << 10

// tellEnd tells the guard to end the command.
func (r *running) tellEnd() {
	r.told.Store(true)
	r.telling.Lock()
	defer r.telling.Unlock()
	io.WriteString(r.s.ch, "end\n")
	r.s.ch.CloseWrite()
}

// feed sends the payload when the host is ready for it, and the command its input
// once it has begun: before that somebody else might read it.
func (r *running) feed(stdin io.Reader) {
	if r.sup.spec.Payload != "" {
		select {
		case <-r.sup.follow.Ready():
			r.tell(r.sup.spec.Sends(r.sup.nonce))
		case <-r.gone:
			return
		}
	}
	if stdin == nil {
		return
	}
	select {
	case <-r.sup.follow.Begun():
		r.send(stdin)
	case <-r.gone:
	}
}

// settle completes the result of a supervised command, and its error.
func (r *running) settle(err error) error {
	is, begun := r.sup.follow.Began()
	r.res.Supervised.PID = is.PID
	said := r.tellNoise()
	if !r.givenUp {
		if err == nil && !begun {
			return r.notBegun(said)
		}
		return err
	}
	report := r.sup.follow.Report()
	switch {
	case report != nil || r.left:
	case begun:
		report = r.lookLast(is)
	case r.exited && r.sup.become == nil: // the supervisor has ended, and begun nothing
		report = &remote.Report{}
	}
	r.res.Supervised.judge(report)
	if err == nil {
		err = r.why
	}
	return err
}

// judge says whether a command that was given up is gone; nil is not known.
func (s *Supervised) judge(report *remote.Report) {
	s.Killed = report != nil && len(report.Left) == 0
	if s.Unkilled = !s.Killed; report != nil {
		s.Left = report.Left
	}
}

// tellNoise puts what came before the command's output into the result, and
// gives its beginning as it came.
func (r *running) tellNoise() []byte {
	n, head := r.sup.follow.Stdout.Noise()
	more, rest := r.sup.follow.Stderr.Noise()
	head = append(head[:len(head):len(head)], rest...)
	if r.res.Supervised.NoiseBytes = n + more; len(head) > 0 {
		r.res.Supervised.Noise = excerpt(head)
	}
	return head
}

// notBegun is the error of a host on which the command did not begin; said is
// what came instead.
func (r *running) notBegun(said []byte) error {
	e := &Error{Op: opExec, Kind: KindNoShell, Stage: StageCommand, Sent: true}
	refused := r.sup.follow.Refused()
	switch {
	case refused == remote.NoDir:
		e.Kind = KindPermission
		e.Text = "no such folder, or no way into it: " + excerpt([]byte(r.sup.spec.Dir))
		return e
	case refused == remote.NoShell:
		e.Kind = KindNotFound
		e.Text = "no such shell: " + excerpt([]byte(r.sup.spec.Shell))
		return e
	case r.sup.follow.Became():
		return r.notBecome()
	}
	e.Text = "no POSIX shell ran the command" + r.endText()
	if said = bytes.TrimSpace(said); len(said) > 0 {
		e.Text += ": " + excerpt(said)
	}
	r.res.Supervised.Noise, r.res.Supervised.NoiseBytes = "", 0
	return e
}
