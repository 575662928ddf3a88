package sshpool

import (
	"io"
	"time"
)

// ExecResult is how a command ended.
type ExecResult struct {
	ExitCode    int           // valid if HasExit
	HasExit     bool          // the host sent an exit status
	Signal      string        // name of the signal that ended the command, without SIG
	SignalText  string        // what the host said about the signal, quoted and bounded
	StdoutBytes int64         // all bytes that came, also those that no writer got
	StderrBytes int64         //
	Lingering   bool          // the command ended but its output stayed open past the drain time, or until ctx ended
	Took        time.Duration // from sending the command to its end
	Supervised  Supervised    // of a command with Supervise
}

// Command is one command and its streams.
type Command struct {
	Text string // what the user's shell on the host reads
	// Shell asks for the user's login shell instead; Text is not looked at.
	Shell bool
	// Stdin is sent to the command; nil sends an end of file at once. Run does
	// not wait for a Read that blocks when the command has ended. A Read that fails
	// ends the command, as the end of Run's ctx does, and gives KindInternal: an end
	// of file would say that it had got all. See [TillError].
	Stdin io.Reader
	// Stdout and Stderr get the output, each from one goroutine and never after
	// Run has returned; nil drops it. A slow writer slows the command down. Where
	// both are the same (of a type that == compares), they take turns.
	Stdout, Stderr io.Writer
	// Env is set on the host, as KEY=VALUE. A host refuses what its AcceptEnv
	// does not list; then the command is not run.
	Env []string
	// OfferEnv is as Env, but the command is run without what the host refuses,
	// as ssh(1) does with SendEnv and SetEnv.
	OfferEnv []string
	// PTY, where not nil, asks for a terminal. All output then comes on Stdout,
	// as the terminal shows it. A host that gives none does not run the command.
	PTY *PTY
	// ForwardAgent, where not empty, is the socket of an agent on this machine
	// that the host may use while the command runs. It is dangerous: whoever has
	// root there, or runs as the same user, can log in with its keys wherever
	// they are accepted. A host that refuses does not run the command. Commands
	// that run beside it on the same connection may have the agent too, and
	// cannot forward another.
	ForwardAgent string
	// Lend, where not nil, is lent to the host in the way of ForwardAgent, in place
	// of it: what it holds is good for single logins only.
	Lend *KeyLoan
	// Become, where not nil, is whom the command is run as. It is supervised then,
	// also where Supervise is nil.
	Become *Become
	// Payload is shell text that /bin/sh evaluates before the command, and that
	// shows in no list of processes; the command is supervised then.
	Payload string
	// Supervise, where not nil, has the command end on the host for sure; see
	// there. Nil sends Text as it is.
	Supervise *Supervision

	terminal bool            // PTY is for the program of Become, not for the command
	noWait   bool            // fail with KindSessionLimit where a session is not free
	leave    <-chan struct{} // closed when there is no time to wait for a command's end; may be nil
}

// TillError reads from r up to its end or its first error, and tells both as the
// end of file. It is for a Command.Stdin whose end the command does not take for
// all that there was.
func TillError(r io.Reader) io.Reader { return tillError{r} }

type tillError struct{ io.Reader }

func (r tillError) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}
