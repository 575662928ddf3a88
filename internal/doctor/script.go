package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"fleet/sshpool"
)

// question is one thing that is asked of a host's shell: a simple command and
// what it is called where it does not end.
type question struct {
	name, command string
}

// questions are asked in one command, so that the login shell starts once. They
// only print, and leave all judgement to us; none has a single quote, an
// exclamation mark, a backslash or a line break, which login shells other than
// sh read in ways of their own. What may take long on a sick host comes last.
var questions = []question{
	{"shell", `echo "$SHELL"`},
	{"uid", `id -u`},
	{"system", `uname -s; uname -r; uname -m`},
	{"release", `cat /etc/os-release`},
	{"clock", `date +%s`},
	{"tools", `command -v ` + strings.Join(tools, `; command -v `)},
	{"become", `command -v sudo; command -v doas; command -v su`},
	{"mounts", `grep -e " / " -e " /tmp " -e " /var " -e " /var/tmp " -e " /private/tmp " /proc/mounts`},
	{"df /tmp", `df -Pk /tmp`},
	{"df -i /tmp", `df -Pi /tmp`},
	{"sudo -n true", `LC_ALL=C sudo -n true </dev/null 2>&1 && echo "status 0" || echo "status 1"`},
}

// tools are the programs that fleet uses on hosts, beside a shell.
var tools = []string{"setsid", "sha256sum", "tar"}

// script is the command that asks all questions. Each answer comes behind a
// line that begins with mark.
func script(mark string) string {
	var b strings.Builder
	b.WriteString(`exec sh -c '`)
	for _, q := range questions {
		// What goes to standard error is then the login shell's alone.
		command := strings.ReplaceAll(q.command, "; ", " 2>/dev/null; ")
		fmt.Fprintf(&b, `echo "%s %s"; %s 2>/dev/null; `, mark, q.name, command)
	}
	fmt.Fprintf(&b, `echo "%s end"'`, mark)
	return b.String()
}

// Bounds of what is read from a host, in bytes.
const (
	maxAnswer = 64 << 10 // all answers together; what comes after is dropped
	maxNoise  = 1 << 20  // before the first answer; more ends the command
	maxQuote  = 200      // of noise that is shown
)

// stuck is the end of a limit while a question had no answer yet.
type stuck struct {
	at  string // what did not end
	err error
}

func (s *stuck) Error() string { return s.at + ": " + s.err.Error() }
func (s *stuck) Unwrap() error { return s.err }

// noShell is the error of a host on which no POSIX shell ran the command.
type noShell struct {
	how   string
	quote string
}

func (e *noShell) Error() string { return e.how }

// askShell runs the script and reads the answers, as far as they came.
func (p *patient) askShell(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mark := "@" + rand.Text()
	l := &listener{mark: []byte(mark + " "), began: time.Now(), flooded: func() { cancel(errFlood) }}
	var aside noise
	res, err := p.conn.Exec(ctx, script(mark), l, &aside)
	l.mu.Lock()
	defer l.mu.Unlock()
	aside.mu.Lock()
	defer aside.mu.Unlock()
	if errors.Is(context.Cause(ctx), errFlood) {
		return &noShell{"login shell writes without end before a command", quote(l.head)}
	}
	if !l.heard() {
		switch {
		case err != nil && (res.HasExit || ctx.Err() == nil):
			return err
		case err != nil:
			return &stuck{"the login shell's start", err}
		}
		return &noShell{"no POSIX shell runs commands" + exitText(res), quote(slices.Concat(l.head, l.buf, aside.head))}
	}
	answers := l.answers()
	p.h.Shell = &Shell{
		Path: firstLine(answers["shell"]), Profile: millis(max(0, l.first.Sub(l.began)-p.rtt)),
		Stdout: Noise{l.noise, quote(l.head)}, Stderr: Noise{aside.n, quote(aside.head)},
	}
	p.readAnswers(answers, l)
	if _, ended := answers["end"]; !ended {
		if err == nil {
			err = errors.New("the shell ended before its script did")
		}
		return &stuck{l.last(), err}
	}
	return nil
}

var errFlood = errors.New("output without end")

func exitText(res sshpool.ExecResult) string {
	switch {
	case res.Signal != "":
		return " (ended by signal " + res.Signal + ")"
	case res.HasExit:
		return fmt.Sprintf(" (exit status %d)", res.ExitCode)
	}
	return ""
}

// noise counts what nobody asked for and keeps its beginning.
type noise struct {
	mu   sync.Mutex
	n    int64
	head []byte
}

func (w *noise) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n += int64(len(b))
	w.head = append(w.head, b[:min(len(b), maxQuote-len(w.head))]...)
	return len(b), nil
}

// listener takes the script's output: noise up to the first mark, answers after
// it. It notes when the first answer and the clock's came.
type listener struct {
	mark    []byte
	began   time.Time
	flooded func()

	mu     sync.Mutex
	noise  int64
	head   []byte // of the noise
	buf    []byte // the answers, or the last of the noise, which may hold part of a mark
	first  time.Time
	ticked time.Time // when the answer to clock had come
}

func (l *listener) heard() bool { return !l.first.IsZero() }

func (l *listener) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.heard() {
		l.buf = append(l.buf, b[:min(len(b), maxAnswer-len(l.buf))]...)
	} else {
		l.buf = append(l.buf, b...)
		l.seek(now)
	}
	if l.heard() && l.ticked.IsZero() && bytes.Contains(l.buf, append(l.mark, "tools\n"...)) {
		l.ticked = now
	}
	return len(b), nil
}

// seek looks for the first mark and counts what stands before it.
func (l *listener) seek(now time.Time) {
	skip := max(0, len(l.buf)-len(l.mark))
	if at := bytes.Index(l.buf, l.mark); at >= 0 {
		skip, l.first = at, now
	}
	l.noise += int64(skip)
	l.head = append(l.head, l.buf[:min(skip, maxQuote-len(l.head))]...)
	l.buf = append(l.buf[:0], l.buf[skip:]...)
	if l.noise > maxNoise {
		l.flooded()
	}
}

// answers gives the text behind each mark. An answer that was cut off by the
// end of the output is left out.
func (l *listener) answers() map[string]string {
	all := make(map[string]string)
	parts := strings.Split(string(l.buf), string(l.mark))
	for i, part := range parts[1:] {
		name, text, whole := strings.Cut(part, "\n")
		if whole && (i+2 < len(parts) || name == "end") {
			all[name] = text
		}
	}
	return all
}

// last is the name of the question whose answer came last, or not at all.
func (l *listener) last() string {
	at := bytes.LastIndex(l.buf, l.mark)
	name, _, _ := strings.Cut(string(l.buf[at+len(l.mark):]), "\n")
	for _, q := range questions {
		if q.name == name {
			return "`" + q.name + "`"
		}
	}
	return "the shell's script"
}

// readAnswers turns the answers into facts.
func (p *patient) readAnswers(a map[string]string, l *listener) {
	if text, ok := a["system"]; ok {
		lines := append(strings.Split(strings.TrimSpace(text), "\n"), "", "", "")
		p.h.System = &System{Kernel: lines[0], Release: lines[1], Machine: lines[2], OS: prettyName(a["release"])}
	}
	if text, ok := a["clock"]; ok && !l.ticked.IsZero() {
		p.h.Clock = readClock(text, l.began, l.ticked)
	}
	if text, ok := a["tools"]; ok {
		p.h.Tools = readTools(text)
	}
	if text, ok := a["become"]; ok {
		p.h.Become = readBecome(firstLine(a["uid"]), text, a["sudo -n true"])
		if _, asked := a["sudo -n true"]; !asked && p.h.Become.Sudo != "absent" {
			p.h.Become.Sudo = "unknown"
		}
	}
	if text, ok := a["df /tmp"]; ok {
		p.h.Tmp = readTmp(text, a["df -i /tmp"], a["mounts"])
	}
}

// prettyName is PRETTY_NAME of an os-release(5) file.
func prettyName(text string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

// readClock compares the host's clock, in whole seconds, with ours: it was read
// at some moment between began and seen.
func readClock(text string, began, seen time.Time) *Clock {
	epoch, err := strconv.ParseInt(firstLine(text), 10, 64)
	if err != nil {
		return nil
	}
	// It showed epoch from that second on until the next.
	least := time.Unix(epoch, 0).Sub(seen).Seconds()
	most := time.Unix(epoch+1, 0).Sub(began).Seconds()
	return &Clock{Offset: tenth((least + most) / 2), Error: tenth((most - least) / 2)}
}

func tenth(s float64) float64 { return float64(int64(s*10+0.5*sign(s))) / 10 }

func sign(s float64) float64 {
	if s < 0 {
		return -1
	}
	return 1
}

func readTools(text string) *Tools {
	found := found(text)
	t := &Tools{Present: []string{}, Missing: []string{}}
	for _, name := range tools {
		if found[name] {
			t.Present = append(t.Present, name)
		} else {
			t.Missing = append(t.Missing, name)
		}
	}
	return t
}

// found gives the names of the programs that `command -v` has printed.
func found(text string) map[string]bool {
	names := make(map[string]bool)
	for line := range strings.Lines(text) {
		names[path.Base(strings.TrimSpace(line))] = true
	}
	return names
}

// readBecome reads the output of `sudo -n true`, whose last line is its status.
func readBecome(uid, there, sudo string) *Become {
	found := found(there)
	b := &Become{Root: uid == "0", Doas: found["doas"], Su: found["su"], Sudo: "absent"}
	if !found["sudo"] {
		return b
	}
	at := strings.LastIndex(sudo, "status ")
	if at < 0 {
		b.Sudo = "broken"
		return b
	}
	said, status := sudo[:at], firstLine(sudo[at+len("status "):])
	switch {
	case status == "0":
		b.Sudo = "yes"
	case strings.Contains(said, "password is required"), strings.Contains(said, "a terminal is required"):
		b.Sudo = "password"
	case strings.Contains(said, "not in the sudoers"), strings.Contains(said, "not allowed"), strings.Contains(said, "may not run"):
		b.Sudo = "denied"
	default:
		b.Sudo = "broken"
	}
	return b
}

// readTmp reads `df -P` (POSIX), where it has them the inodes of `df -Pi`, and
// lines of /proc/mounts, of which the last for a mount point counts.
func readTmp(df, inodes, mounts string) *Tmp {
	f := lastFields(df)
	if len(f) < 6 {
		return nil
	}
	free, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return nil
	}
	t := &Tmp{Mount: strings.Join(f[5:], " "), FreeBytes: free << 10}
	if i := lastFields(inodes); len(i) >= 6 {
		all, err1 := strconv.ParseInt(i[1], 10, 64)
		free, err2 := strconv.ParseInt(i[3], 10, 64)
		if err1 == nil && err2 == nil && all > 0 {
			t.FreeInodes = &free
		}
	}
	for line := range strings.Lines(mounts) {
		m := strings.Fields(line)
		if len(m) < 4 || m[1] != t.Mount {
			continue
		}
		noexec, readOnly := false, false
		for option := range strings.SplitSeq(m[3], ",") {
			noexec = noexec || option == "noexec"
			readOnly = readOnly || option == "ro"
		}
		t.Noexec, t.ReadOnly = &noexec, &readOnly
	}
	return t
}

// lastFields are the fields of the last line of a table with a heading.
func lastFields(table string) []string {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) < 2 {
		return nil
	}
	return strings.Fields(lines[len(lines)-1])
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSpace(line)
}

// quote is the beginning of noise, without bytes that a reader of JSON or a
// terminal could not take.
func quote(b []byte) string { return strings.ToValidUTF8(string(b[:min(len(b), maxQuote)]), "\ufffd") }
