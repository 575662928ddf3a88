package sshpool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/remote"
)

// Become has a command run as another user of the host, by sudo, su or doas as
// the host has it: with the environment and the home that these give, and read by
// /bin/sh unless Supervision.Shell says otherwise. What ends the command runs as
// that user, too.
//
// A password is sent once, and only when the host has asked for it, on the
// channel: it is in no list of arguments, and not in the command's input. Where
// the host wants a terminal for that (requiretty, doas), it gets one, and both
// output streams come on Stdout. A command with Stdin gets no terminal: it fails
// with KindBecomeDenied where that is wanted.
type Become struct {
	Method string // "sudo", "su" or "doas"; empty is "sudo"
	User   string // empty is "root"
	// Password gives the password, of the login user for sudo and doas, of User for
	// su. Nil: there is none, and a host that asks is an error.
	Password func() string
	// Limit is the longest until the command begins; 0 is DefaultBecomeLimit.
	Limit time.Duration
}

// DefaultBecomeLimit is how long a host may take to make a user another: PAM may
// ask somebody else, and waits after a wrong password.
const DefaultBecomeLimit = 30 * time.Second

// BecomeMethods are the values of Become.Method.
func BecomeMethods() []string { return []string{"sudo", "su", "doas"} }

func (b *Become) remote() *remote.Become {
	to := &remote.Become{Method: remote.Method(b.Method), User: b.User, Password: b.Password != nil}
	if to.Method == "" {
		to.Method = remote.Sudo
	}
	if to.User == "" {
		to.User = "root"
	}
	return to
}

// check says what is wrong with b.
func (b *Become) check() error {
	switch r := b.remote(); {
	case !slices.Contains(remote.Methods, r.Method):
		return &Error{Op: opExec, Kind: KindInternal, Stage: StageChannel, Text: fmt.Sprintf("become method %q: not one of %s", b.Method, strings.Join(BecomeMethods(), ", "))}
	case strings.HasPrefix(r.User, "-") || strings.ContainsAny(r.User, "\x00\n"):
		return &Error{Op: opExec, Kind: KindInternal, Stage: StageChannel, Text: fmt.Sprintf("become user %q: no name of a user", b.User)}
	}
	return nil
}

// rawTerminal is one that changes nothing of what passes it and echoes nothing
// (RFC 4254 section 8).
func rawTerminal() *PTY {
	return &PTY{Modes: ssh.TerminalModes{ssh.ECHO: 0, ssh.ECHOE: 0, ssh.ECHOK: 0, ssh.ECHONL: 0, ssh.ICANON: 0, ssh.ISIG: 0, ssh.IEXTEN: 0,
		ssh.OPOST: 0, ssh.ONLCR: 0, ssh.ICRNL: 0, ssh.INLCR: 0, ssh.IGNCR: 0, ssh.IXON: 0, ssh.IXOFF: 0, ssh.ISTRIP: 0, ssh.CS8: 1}}
}

// runBecome runs cmd, and once more with a terminal where the host wants one.
func (c *Conn) runBecome(ctx context.Context, cmd Command) (ExecResult, error) {
	if err := cmd.Become.check(); err != nil {
		return ExecResult{}, err
	}
	asks := cmd.PTY == nil && cmd.Become.remote().NeedsTerminal()
	switch {
	case asks && cmd.Stdin != nil:
		free := *cmd.Become // it may be that no password is needed
		free.Password = nil
		cmd.Become = &free
	case asks:
		cmd.PTY, cmd.terminal = rawTerminal(), true
	}
	res, denied, err := c.run(ctx, cmd)
	wants := cmd.PTY == nil && (denied == remote.DeniedTerminal || asks && denied == remote.DeniedAsks)
	if !wants {
		return res, err
	}
	if cmd.Stdin != nil {
		return res, noTerminal(cmd.Become)
	}
	cmd.PTY, cmd.terminal = rawTerminal(), true
	res, _, err = c.run(ctx, cmd)
	return res, err
}

// noTerminal is the error of a command whose input would have to pass a terminal,
// which changes it. None of the input was sent.
func noTerminal(b *Become) error {
	return &Error{Op: opExec, Kind: KindBecomeDenied, Stage: StageBecome, Sent: true,
		Text: string(b.remote().Method) + " wants a terminal, and a command that is sent input has none"}
}

// answer sends the password that the host asks for. It is false where there is
// none, where it was sent already, as once is enough to be locked out, and where
// the command was given up, which would begin only to be ended.
func (r *running) answer() bool {
	b := r.sup.become
	if b.Password == nil || r.sup.given || r.givenUp {
		return false
	}
	r.sup.given = true
	go r.tell(b.Password() + "\n") // waits while the connection takes no bytes
	return true
}

// questionWait is how often questions are looked for that nobody can answer. One
// that was there the last time has stayed for that long.
const questionWait = time.Second

// askedInVain says that the host still waits for an answer that nobody has: its
// question was there at the last look, too.
func (r *running) askedInVain() bool {
	now := r.sup.follow.Question()
	r.sup.inVain = now != "" && now == r.sup.question
	r.sup.question = now
	return r.sup.inVain
}

// becomeDone notes that the other user's command has begun.
func (r *running) becomeDone() {
	r.begun, r.asks, r.looks = nil, nil, nil
	if !r.exited && !r.givenUp {
		r.limit.stop()
		r.limit = limit{}
	}
}

// becomeLimit is for the time between the host's answer to the request and the
// command's begin.
func (r *running) becomeLimit() time.Duration {
	if r.sup.become.Limit > 0 {
		return r.sup.become.Limit
	}
	return DefaultBecomeLimit
}

// notBecome is the error of a host on which the user could not be become.
func (r *running) notBecome() error {
	f := r.sup.follow
	method := string(r.sup.spec.Become.Method)
	e := &Error{Op: opExec, Kind: KindBecomeDenied, Stage: StageBecome, Sent: true}
	said := ""
	if text := f.Said(); len(text) > 0 {
		said = ": " + excerpt(text)
	}
	r.sup.denied = f.Denied(r.sup.given)
	if !r.sup.inVain { // what comes after that says nothing of it
		r.sup.question = f.Question()
	}
	asks := r.sup.denied == remote.DeniedAsks && !r.sup.inVain // it says so, too, when nothing answers another question
	if r.sup.question != "" && r.sup.denied != remote.DeniedPassword && !asks {
		r.sup.denied = remote.DeniedMore
	}
	switch r.sup.denied {
	case remote.DeniedMissing:
		e.Text = method + " is not installed"
	case remote.DeniedPassword:
		e.Kind, e.Text = KindBecomePassword, method+" did not take the password"
	case remote.DeniedMore:
		e.Text = method + " asks for more than a password"
		if q := r.sup.question; q != "" {
			e.Text += ": " + excerpt([]byte(q))
		}
	case remote.DeniedTerminal:
		e.Text = method + " wants a terminal" + said
	case remote.DeniedAsks:
		e.Text = method + " asks for a password, and there is none"
	default:
		e.Text = method + " did not begin the command" + r.endText() + said
	}
	return e
}

// endText says how what was sent ended, in brackets; it may be empty.
func (r *running) endText() string {
	switch {
	case r.res.Signal != "":
		return " (signal " + r.res.Signal + ")"
	case r.res.HasExit:
		return fmt.Sprintf(" (exit status %d)", r.res.ExitCode)
	}
	return ""
}
