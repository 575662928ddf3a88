package lab

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Fault names what is wrong with a host: one name of Faults, with its value
// where it takes one ("hang", "slow-auth=2s"), or several joined by "+". The
// empty Fault is a healthy host.
type Fault string

// FaultDoc describes one fault that a host can have.
type FaultDoc struct {
	Name string // what to write before =
	Arg  string // what to write behind it, in words; empty: nothing
	Doc  string // one line
}

// Faults lists all faults, from the first byte of a connection to its last.
func Faults() []FaultDoc {
	var docs []FaultDoc
	for _, f := range faults() {
		docs = append(docs, FaultDoc{f.name, f.arg, f.doc})
	}
	return docs
}

// ParseFault reads HOST=FAULT, as on a command line: "web03=hang",
// "db*=slow-auth=2s+max-sessions=1".
func ParseFault(s string) (host string, f Fault, err error) {
	host, spec, ok := strings.Cut(s, "=")
	if !ok || host == "" || spec == "" {
		return "", "", fmt.Errorf("lab: fault %q is not HOST=FAULT", s)
	}
	if _, err := Fault(spec).compile(); err != nil {
		return "", "", err
	}
	return host, Fault(spec), nil
}

// fault is an entry of the registry: apply changes the behavior of a host.
type fault struct {
	name, arg, doc string
	apply          func(b *behavior, arg value)
}

// behavior is where a host departs from a healthy one. Hooks that are nil and
// flags that are false are the healthy case. A behavior is shared by all hosts
// with the same faults and holds no state of its own.
type behavior struct {
	noListener  bool // nothing listens
	otherKey    bool // shows another host key than known_hosts has
	unlisted    bool // has no line in known_hosts
	muteExec    bool // never answers exec
	denyExec    bool // refuses exec
	noForward   bool // connects to nobody for its clients
	noSFTP      bool // has no sftp subsystem
	sftp        sftpHooks
	maxSessions int64 // session channels at once; 0: no limit

	// accept is the first to see a connection, the n-th of its host; SSH
	// starts if all return true.
	accept []func(w *wire, n int64) bool
	// config changes how the key exchange and the login go.
	config []func(w *wire, c *ssh.ServerConfig)
	// ready is called when a client has logged in.
	ready []func(w *wire, c *ssh.ServerConn)
	// open is the first to see a channel; the host goes on if it returns true.
	open func(w *wire, nc ssh.NewChannel) bool
	// output stands between a command and its channel, once for each stream.
	output []func(ctx context.Context, s *session, to io.Writer) io.Writer
	// run stands in for the shell.
	run func(ctx context.Context, s *session, c *Command) Exit
	// end is called with a command's end; it is sent if end returns true.
	end func(ctx context.Context, s *session, exit Exit) bool
}

func (b *behavior) onAccept(f func(w *wire, n int64) bool) { b.accept = append(b.accept, f) }

func (b *behavior) onConfig(f func(w *wire, c *ssh.ServerConfig)) { b.config = append(b.config, f) }

func (b *behavior) onReady(f func(w *wire, c *ssh.ServerConn)) { b.ready = append(b.ready, f) }

func (b *behavior) onOutput(f func(ctx context.Context, s *session, to io.Writer) io.Writer) {
	b.output = append(b.output, f)
}

// value is what stands behind a fault's =, as what its entry wants it to be.
// The first that does not parse is kept as the error.
type value struct {
	text string
	err  *error
}

func (v value) fail(want string) { *v.err = fmt.Errorf("%q is not %s", v.text, want) }

func (v value) duration() time.Duration {
	d, err := time.ParseDuration(v.text)
	if err != nil || d < 0 {
		v.fail("a duration such as 2s")
	}
	return d
}

// bytes reads a number with an optional unit: 100, 64K, 2M, 1G.
func (v value) bytes() int64 {
	digits, shift := v.text, 0
	for suffix, s := range map[string]int{"K": 10, "M": 20, "G": 30} {
		if rest, ok := strings.CutSuffix(v.text, suffix); ok {
			digits, shift = rest, s
		}
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		v.fail("a number of bytes such as 64K")
	}
	return n << shift
}

func (v value) count() int64 {
	n, err := strconv.ParseInt(v.text, 10, 32)
	if err != nil || n < 0 {
		v.fail("a count")
	}
	return n
}

// compile turns the names into a behavior.
func (f Fault) compile() (*behavior, error) {
	b := &behavior{}
	if f == "" {
		return b, nil
	}
	known := make(map[string]fault)
	for _, e := range faults() {
		known[e.name] = e
	}
	for _, part := range strings.Split(string(f), "+") {
		name, text, given := strings.Cut(part, "=")
		e, ok := known[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("lab: unknown fault %q: did you mean %s?", name, nearest(name))
		case given && e.arg == "":
			return nil, fmt.Errorf("lab: fault %s takes no value", name)
		case !given && e.arg != "":
			return nil, fmt.Errorf("lab: fault %s needs a value: %s=%s", name, name, e.arg)
		}
		var err error
		e.apply(b, value{text, &err})
		if err != nil {
			return nil, fmt.Errorf("lab: fault %s: %w", name, err)
		}
	}
	return b, nil
}

// nearest is the fault whose name takes the fewest changes to get to.
func nearest(name string) string {
	best, least := "", len(name)+100
	for _, f := range faults() {
		if d := distance(name, f.name); d < least {
			best, least = f.name, d
		}
	}
	return best
}

// distance counts the single letters to insert, delete or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// faults is the registry, in order of the stages of a connection.
func faults() []fault {
	var all []fault
	all = append(all, connectFaults()...)
	all = append(all, loginFaults()...)
	all = append(all, channelFaults()...)
	all = append(all, commandFaults()...)
	all = append(all, fileFaults()...)
	all = append(all, nameFaults()...)
	return all
}
