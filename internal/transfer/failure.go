package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"fleet/scheduler"
	"fleet/sshpool"
)

// Failure says why the files of one host are not what was asked for. Text never
// holds the host's name, so that equal failures fold over hosts.
type Failure struct {
	Kind scheduler.Kind
	Text string
	Err  error
}

func (f *Failure) Error() string { return f.Text }

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// outcome makes an error the host's.
func outcome(err error) error {
	var f *Failure
	var local *fs.PathError
	var changed *changedError
	var conn *sshpool.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
	case errors.As(err, &conn):
		if conn.Stage != sshpool.StageCommand {
			return err
		}
		c := *conn
		c.Stage = sshpool.StageTransfer
		return &c
	case errors.As(err, &changed):
		f = &Failure{Kind: scheduler.KindChanged, Text: changed.Error()}
	case errors.As(err, &local):
		f = &Failure{Kind: scheduler.KindLocal, Text: "on this machine: " + err.Error()}
	default:
		return err
	}
	return &scheduler.Error{Outcome: scheduler.Failed, Err: err,
		Cause: scheduler.Cause{Kind: f.Kind, Stage: scheduler.StageTransfer, Text: f.Text}}
}

// complaints are what tools of a host say, in the C locale, and what it means.
var complaints = []struct {
	text string
	kind scheduler.Kind
	say  string
}{
	{"No space left on device", scheduler.KindRemoteNoSpace, "no space left on device"},
	{"Disk quota exceeded", scheduler.KindQuota, "disk quota exceeded"},
	{"Read-only file system", scheduler.KindReadOnly, "read-only file system"},
	{"File name too long", scheduler.KindNameTooLong, "file name too long"},
	{"Permission denied", scheduler.KindPermission, "permission denied"},
	{"Operation not permitted", scheduler.KindPermission, "operation not permitted"},
	{"No such file or directory", scheduler.KindNotFound, "no such file or folder"},
	{"Is a directory", scheduler.KindConflict, "is a folder"},
	{"Not a directory", scheduler.KindConflict, "not a folder"},
	{"Directory not empty", scheduler.KindConflict, "folder not empty"},
	{"File size limit exceeded", scheduler.KindTooLarge, "larger than the host allows a file to be"},
	{"File too large", scheduler.KindTooLarge, "larger than the host allows a file to be"},
}

// noAccount is how chown(1) says that there is no such user or group: GNU's,
// busybox's, the BSDs'.
var noAccount = regexp.MustCompile(`(invalid|unknown|illegal) (user|group)`)

// complaint makes a failure of what a tool has written while doing what in the
// folder base, which names that it gives are below.
func complaint(what, base string, stderr []byte, otherwise string) *Failure {
	if noAccount.Match(stderr) {
		return &Failure{Kind: scheduler.KindNotFound, Text: what + ": " + quoted([]byte(firstLine(stderr)))}
	}
	for _, c := range complaints {
		i := bytes.Index(stderr, []byte(c.text))
		if i < 0 {
			continue
		}
		return &Failure{Kind: c.kind, Text: what + ": " + whole(base, nameBefore(stderr[:i])) + ": " + c.say}
	}
	if said := firstLine(stderr); said != "" {
		otherwise = quoted([]byte(said))
	}
	return &Failure{Kind: scheduler.KindRemote, Text: what + ": " + whole(base, "") + ": " + otherwise}
}

// whole is the whole name of what lies in a folder, made safe.
func whole(base, name string) string {
	switch {
	case name == "" || name == ".":
		name = base
	case !path.IsAbs(name):
		name = path.Join(base, name)
	}
	return quoted([]byte(name))
}

// nameBefore finds the name in a tool's complaint, "tool: name: " or "tool:
// cannot do 'name': ", without the folder that is ours.
func nameBefore(text []byte) string {
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	s := strings.TrimRight(string(line), " :")
	s = strings.TrimSuffix(s, ": Cannot open")
	s = strings.TrimSuffix(s, ": Cannot mkdir")
	s = strings.TrimSuffix(s, ": Cannot write")
	if i := strings.LastIndex(s, "'"); i > 0 && i == len(s)-1 {
		if j := strings.LastIndex(s[:i], "'"); j >= 0 {
			s = s[j+1 : i]
		}
	} else if i := strings.LastIndex(s, ": "); i >= 0 {
		s = s[i+2:]
	}
	if i := strings.Index(s, stagePrefix); i >= 0 {
		s = s[i:]
		if j := strings.Index(s, "/t/"); j >= 0 {
			s = s[j+3:]
		} else {
			s = ""
		}
	}
	switch s { // of ours
	case "sums", "check", "names", "apply", "res", "t", "-":
		return ""
	}
	s = strings.TrimPrefix(s, "t/")
	return strings.TrimPrefix(s, "./")
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return string(line)
}

// ended says how a script ended.
func ended(r scriptResult) string {
	if said := firstLine(r.stderr); said != "" {
		return quoted([]byte(said))
	}
	if r.signal != "" {
		return "ended by signal " + r.signal
	}
	return fmt.Sprintf("exit status %d", r.code)
}

// quoted shows what a host said, shortened, so that a terminal cannot act on it.
// A plain name stays as it is.
func quoted(b []byte) string {
	const most = 200
	more := ""
	if len(b) > most {
		b, more = b[:most], "..."
	}
	q := strconv.QuoteToGraphic(string(b))
	if q[1:len(q)-1] == string(b) {
		return string(b) + more
	}
	return q + more
}
