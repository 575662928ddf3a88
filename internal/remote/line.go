package remote

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spec is a command as it is to be run on a host.
type Spec struct {
	// Command is what Shell reads.
	Command string
	// Shell reads Command; empty is the user's login shell ($SHELL).
	Shell string
	// Dir is the folder to run in, "~" and "~/x" in the user's home; empty is
	// where the login begins.
	Dir string
	// Grace is the time from TERM to KILL when the command is ended, rounded up to
	// seconds.
	Grace time.Duration
	// Keep has the command go on when the connection is lost.
	Keep bool
	// Stdin says that the command reads what is sent.
	Stdin bool
	// TTY says that the command gets a terminal. It reads from that as with Stdin.
	TTY bool
	// Terminal says that there is a terminal though the command gets none: the
	// program of Become wants it. Both streams then come on standard output.
	Terminal bool
	// Become, where not nil, is whom to run as. Shell is then /bin/sh where nothing
	// else is said: many a user to become has none to log in with.
	Become *Become
	// Payload is shell text that is evaluated before the command, but not part of
	// what is sent as Line: it is sent when the host says that it is ready for it.
	// So it shows in no list of processes.
	Payload string
}

// Sends is what is sent when the host says that it is ready for the payload: that,
// and an end by which the host sees that all of it has come.
func (s *Spec) Sends(nonce string) string { return s.Payload + "fleet-" + nonce }

// Flags of a script's argument.
const (
	flagPoll     = "p" // the command has the standard input
	flagKeep     = "k" // a lost connection does not end the command
	flagTTY      = "t" // stay in the session that has the terminal
	flagTerminal = "y" // standard error is standard output
)

func (s *Spec) flags() string {
	f := "-" // an empty word would be lost
	for _, flag := range []struct {
		name string
		set  bool
	}{{flagPoll, s.polled()}, {flagKeep, s.Keep}, {flagTTY, s.TTY}, {flagTerminal, s.Terminal}} {
		if flag.set {
			f += flag.name
		}
	}
	return f
}

// polled says that the guard has no lifeline.
func (s *Spec) polled() bool { return s.Stdin || s.TTY }

// evaluate is what /bin/sh -c runs: the second argument. It is passed as $0, too.
const evaluate = `eval "$2"`

// Line is what is sent for the command. The nonce is what tells our lines in the
// output from others: letters and digits that nobody can guess, new for each
// command. Who becomes another user, or may not, sees the command's text first
// in a log of arguments.
func (s *Spec) Line(nonce string) string {
	size := ""
	if s.Payload != "" {
		size = strconv.Itoa(len(s.Sends(nonce)))
	}
	begin := []string{"exec", "/bin/sh", "-c", evaluate, evaluate, s.Command}
	args := []string{nonce, s.flags(), seconds(s.Grace), s.Dir, s.Shell, size}
	if b := s.Become; b != nil {
		if s.Shell == "" {
			args[4] = "/bin/sh"
		}
		return words(slices.Concat(begin, []string{b.script(s.TTY)}, args, []string{b.User, supervisor(), watch()})...)
	}
	return words(slices.Concat(begin, []string{supervisor()}, args, []string{"", "", "", watch()})...)
}

// words quotes each word for whatever shell reads them.
func words(list ...string) string {
	var b strings.Builder
	for i, w := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(quoteForAny(w))
	}
	return b.String()
}

// seconds are whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((max(d, 0)+time.Second-1)/time.Second), 10)
}

// Sent is a command that was sent as a Line.
type Sent struct {
	Spec  Spec
	Nonce string
	Size  int // of the payload and its end, which are yet to come
}

// ParseLine reads what Line made; ok says that it did. It is for hosts that have
// no shell of their own, as those of a test.
func ParseLine(line string) (s Sent, ok bool) {
	if !strings.HasPrefix(line, "exec /bin/sh -c 'eval ") {
		return s, false
	}
	list, ok := unquote(line)
	if !ok || len(list) < 16 || len(list) > 17 || !slices.Equal(list[:5], []string{"exec", "/bin/sh", "-c", evaluate, evaluate}) {
		return s, false
	}
	grace, err := strconv.Atoi(list[9])
	if err != nil {
		return s, false
	}
	f := list[8]
	size, _ := strconv.Atoi(list[12]) // empty is none
	return Sent{Nonce: list[7], Size: size, Spec: Spec{
		Command: list[5], Shell: list[11], Dir: list[10], Grace: time.Duration(grace) * time.Second,
		Keep: strings.Contains(f, flagKeep), TTY: strings.Contains(f, flagTTY),
		Stdin: strings.Contains(f, flagPoll) && !strings.Contains(f, flagTTY),
	}}, true
}

// Payload takes the end off what has come; ok says that it is there.
func (s Sent) Payload(sent string) (payload string, ok bool) {
	return strings.CutSuffix(sent, "fleet-"+s.Nonce)
}

// Ready is the line that asks for the payload.
func (s Sent) Ready() string { return "fleet-" + s.Nonce + " ready\n" }

// Begins is the line that tells, on each stream, that the command begins.
func (s Sent) Begins(is Began) string {
	return fmt.Sprintf("fleet-%s %d %d\n", s.Nonce, is.PID, is.Guard)
}

// Ends is the guard's report.
func (s Sent) Ends(r Report) string {
	line := "fleet-" + s.Nonce + " end"
	if r.Forced {
		line += " KILL"
	}
	for _, pid := range r.Left {
		line += " " + strconv.Itoa(pid)
	}
	return line + "\n"
}

// unquote takes words apart that quoteForAny made.
func unquote(line string) (list []string, ok bool) {
	var word strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c != '\'':
			word.WriteByte(c)
		case c == '\'':
			quoted = !quoted
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == ' ':
			list = append(list, word.String())
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	return append(list, word.String()), !quoted
}
