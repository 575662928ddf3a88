// Package render shows a run: it turns events into what the user sees.
//
// [New] makes the sink for an output mode: live (live.go, folded
// livefold.go), group (group.go),
// json (document.go), jsonl (jsonl.go) or quiet (quiet.go). Data goes to
// standard output; the summary (summary.go), its hints (hints.go) and the
// status line (screen.go, tally.go) go to standard error. way.go decides how
// bytes get to the two: through queues, so that a slow reader does not hold the
// run up, and around the status line.
//
// Batches, gates and stragglers of a run are told by marks.go.
//
// Whatever comes from a host is data. On a terminal it passes through
// [AppendSafe] (safe.go), so that it cannot move the cursor, set the title or
// forge another host's line; in a pipe the bytes are exact, except in JSON,
// where text is escaped and other bytes are base64 (encode.go).
package render

import (
	"fmt"
	"io"
	"strings"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
)

// Modes lists the output modes that New knows.
var Modes = []string{"live", "group", "json", "jsonl", "quiet"}

// Options say where to and how. Out and Err are needed, all else has a default.
type Options struct {
	Out, Err                 io.Writer
	OutTerminal, ErrTerminal bool // what comes from hosts is made safe there
	Color, ErrColor          bool // colours on Out, on Err
	NoStatus                 bool // no status line though Err is a terminal, as for TERM=dumb

	Width   func() int                  // columns of the terminal, asked again at each use; 80 if nil or not positive
	Verbose int                         // from 1 on, the end of each host is told on Err
	Clock   func() time.Time            // time.Now if nil
	Prog    string                      // what hints begin with; "fleet" if empty
	Fold    func(names []string) string // web01,web02 to web[01-02]; joined by commas if nil

	Mask       *Mask                      // what of outputs does not count in comparing them; see NewMask
	Aliases    func(host string) []string // other names of a host, for its Mask; may be nil
	ExpectSame bool                       // the summary tells of outputs that differ; see Sink.Differ
	Diff       bool                       // group shows how outputs differ from that of most hosts
	LiveFold   bool                       // live shows a line once for all hosts that say it at about the same time
	Timestamps bool                       // live and group say when each line came

	MemoryBudget int64  // bytes in memory that wait for a slow reader, for each of Out and Err; 1 MiB if 0
	TempDir      string // for what is beyond; os.TempDir if empty
}

// Sink is what New returns: an event.Sink that can also be asked to make room.
// Its own methods are safe for concurrent use.
type Sink interface {
	event.Sink
	event.WholeSink
	event.ProgressSink
	event.MarkSink
	event.GateSink
	event.RetrySink
	// Note shows one line of fleet's own on Err, above the status line. It is
	// made safe and needs no line feed.
	Note(text string)
	// Pause takes the status line away and holds all writing to the terminal
	// back, for a prompt, until resume is called.
	Pause() (resume func())
	// Differ says, after Finish, that outputs differ though Options.ExpectSame.
	Differ() bool
}

// New returns the sink for mode. The sink owns the captures of the results that
// it is given: it discards each as soon as it is not needed any more. It must
// be finished by Finish also if Start was never called.
func New(mode string, o Options) (Sink, error) {
	o = o.withDefaults()
	switch mode {
	case "live":
		if o.LiveFold {
			return newLiveFold(o), nil
		}
		return newLive(o), nil
	case "group":
		return newGroup(o), nil
	case "json":
		return newDocument(o), nil
	case "jsonl":
		return newJSONL(o), nil
	case "quiet":
		return newQuiet(o), nil
	}
	return nil, fmt.Errorf("output mode %q: not one of %s", mode, strings.Join(Modes, ", "))
}

// NeedsCaptures says that mode shows what results carry in Stdout and Stderr.
// The other modes show Output events, or nothing, and discard captures.
func NeedsCaptures(mode string) bool { return mode == "group" || mode == "json" }

func (o Options) withDefaults() Options {
	width := o.Width
	o.Width = func() int {
		if width != nil {
			if w := width(); w > 0 {
				return w
			}
		}
		return 80
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Prog == "" {
		o.Prog = "fleet"
	}
	if o.Fold == nil {
		o.Fold = func(names []string) string { return strings.Join(names, ",") }
	}
	return o
}

// base is what all modes share: the way out, the counts, the summary.
type base struct {
	o      Options
	way    *way
	tally  tally
	run    event.Run
	talks  bool    // tells of batches and gates as they come
	gather *gather // of what is shown, where hosts are told together masked; else nil
	same   *gather // of all that hosts write, where that should be the same; else nil
	gate   gateLines
}

func (b *base) init(o Options, queued bool) {
	b.o = o
	if o.Mask != nil {
		b.gather = newGather(o)
	}
	if o.ExpectSame {
		b.same = newGather(o)
	}
	b.tally.init(o)
	b.way = newWay(o, queued, b.tally.status)
}

// Start implements event.Sink.
func (b *base) Start(r event.Run) {
	b.run = r
	b.tally.begin(r)
	b.way.begin()
}

// Started implements event.Sink.
func (b *base) Started(host string, _ time.Time) { b.tally.started(host) }

// Output implements event.Sink: modes that show captures leave it.
func (b *base) Output(o event.Output) { b.gather.output(o) }

// Whole implements event.WholeSink: what is not shown may differ, too.
func (b *base) Whole(o event.Output) { b.same.output(o) }

// Note implements Sink.
func (b *base) Note(text string) {
	b.way.err.Write(append(AppendSafeLine(nil, []byte(text)), '\n'))
}

// Pause implements Sink.
func (b *base) Pause() (resume func()) { return b.way.pause() }

// count takes a result into the counts and, if asked to, tells it. The key is
// that of its output, as far as outputs are compared.
func (b *base) count(r event.Result) (key foldKey) {
	if b.gather != nil {
		key = b.gather.take(r)
	}
	if b.same != nil {
		b.same.result(r)
	}
	b.tally.result(r)
	if b.o.Verbose > 0 {
		b.way.err.Write(appendVerbose(nil, r))
	}
	return key
}

// finish ends the data, then writes the summary to standard error.
func (b *base) finish(s event.Summary, always bool) error {
	b.way.endData()
	if always || b.tally.notOK() || s.Halted || s.Deadline || s.Interrupted || b.Differ() {
		b.way.err.Write(b.summary(s))
	}
	return b.way.close()
}

// discard gives back what a result carries.
func discard(captures ...*output.Capture) {
	for _, c := range captures {
		c.Discard()
	}
}
