package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"

	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/tasks"
)

// far is a host as scripts see it.
type far struct {
	conn   *sshpool.Conn
	become *sshpool.Become // whom scripts run as; nil is the login user
	rates  []*sshpool.Rate // what scripts read and write keeps to these

	sftp *sshpool.SFTP // where scripts are not to be had; else nil
	ids  *accounts     // with sftp

	lend       *sshpool.KeyLoan // lent to the host while scripts run; nil is none
	supervised bool             // scripts end with who runs them
}

// needsTerminal says that a script could have no input: what makes it another
// user asks for the password on a terminal only.
func (f *far) needsTerminal() bool {
	return f.become != nil && f.become.Method == "doas" && f.become.Password != nil
}

// nonce is a word that nobody can guess, for marks in what a host writes and for
// names of folders.
func nonce() string { return rand.Text() }

// mark is what stands before what a script writes: all before it is noise of the
// user's shell.
func mark(nonce string) []byte { return []byte("\nfleet-" + nonce + "\n") }

// scriptResult is how a script ended.
type scriptResult struct {
	code   int
	signal string
	stderr []byte // its beginning
}

// prelude comes before every script: it sets the mark on both streams.
const prelude = `LC_ALL=C; export LC_ALL
printf '\nfleet-%s\n' "$1"; printf '\nfleet-%s\n' "$1" >&2
`

// script runs sh code on the host. Its arguments follow the nonce n, $1. What it
// writes after the mark goes to out. The error is about the connection, or says
// that the mark never came.
func (f *far) script(ctx context.Context, n, code string, args []string, stdin io.Reader, out io.Writer) (scriptResult, error) {
	if f.needsTerminal() {
		return scriptResult{}, &Failure{Kind: scheduler.KindBecomeDenied, Text: "doas asks for a password on a terminal only, and through one no files can be sent; sudo can"}
	}
	words := append([]string{"/bin/sh", "-c", prelude + code, "fleet", n}, args...)
	stdin, out = pace(ctx, f.rates, stdin, out)
	if stdin != nil { // who sends it knows how far it came, and the script that it was cut
		stdin = sshpool.TillError(stdin)
	}
	skip := &afterMark{mark: mark(n), w: out}
	stderr := &firstBytes{most: maxStderr}
	complaints := &afterMark{mark: mark(n), w: stderr}
	cmd := sshpool.Command{Text: "exec " + tasks.QuoteAll(words), Stdin: stdin, Stdout: skip, Stderr: complaints, Become: f.become, Lend: f.lend}
	if f.supervised {
		cmd.Supervise = &sshpool.Supervision{}
	}
	res, err := f.conn.Run(ctx, cmd)
	r := scriptResult{code: res.ExitCode, signal: res.Signal, stderr: stderr.kept}
	switch {
	case err != nil:
		return r, err
	case !skip.found && res.Signal == "":
		return r, &Failure{Kind: scheduler.KindNoShell, Text: noScript(res, skip.seen, complaints.seen)}
	}
	return r, nil
}

// noScript says why a script did not even begin.
func noScript(res sshpool.ExecResult, stdout, stderr []byte) string {
	said := bytes.TrimSpace(stderr)
	if len(said) == 0 {
		said = bytes.TrimSpace(stdout)
	}
	if len(said) == 0 {
		return fmt.Sprintf("the login shell did not run /bin/sh: exit status %d", res.ExitCode)
	}
	return "the login shell did not run /bin/sh: " + quoted(said)
}

// maxSaid is how much is kept of what a script answers that says a few words. A
// host may say more, and for ever.
const maxSaid = 64 << 10

// lastBytes keeps the end of what is written.
type lastBytes struct {
	most int
	kept []byte
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p[max(0, len(p)-l.most):]...)
	if over := len(l.kept) - l.most; over > l.most {
		l.kept = append(l.kept[:0], l.kept[over:]...)
	}
	return len(p), nil
}

// maxStderr is how much of what a script complains of is kept.
const maxStderr = 16 << 10

// firstBytes keeps the beginning of what is written.
type firstBytes struct {
	most int
	kept []byte
}

func (f *firstBytes) Write(p []byte) (int, error) {
	f.kept = append(f.kept, p[:min(len(p), f.most-len(f.kept))]...)
	return len(p), nil
}

// afterMark passes on what comes after the mark.
type afterMark struct {
	mark  []byte
	w     io.Writer
	seen  []byte // before the mark
	found bool
}

// maxNoise is how much of what a login shell writes is looked at for the mark.
const maxNoise = 256 << 10

func (a *afterMark) Write(p []byte) (int, error) {
	if a.found {
		return a.w.Write(p)
	}
	if len(a.seen) > maxNoise {
		return len(p), nil
	}
	a.seen = append(a.seen, p...)
	i := bytes.Index(a.seen, a.mark)
	if i < 0 {
		return len(p), nil
	}
	a.found = true
	rest := a.seen[i+len(a.mark):]
	a.seen = nil
	if len(rest) > 0 {
		if _, err := a.w.Write(rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
