package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/control"
	"fleet/internal/event"
	"fleet/internal/record"
	"fleet/internal/render"
)

// recordFlags say whether a run is recorded, and whether it stays on the terminal.
type recordFlags struct {
	off, detach bool
	most        byteSize
	mostGiven   func() bool // nil: there is no flag for it
}

func (f *recordFlags) declare(c *cobra.Command) {
	f.declareOff(c, "this run")
	f.most = byteSize{record.UsualMost}
	c.Flags().Var(&f.most, "record-max", "most of what hosts write to keep in the record of the run, `SIZE`; 0 keeps all ($FLEET_RECORD_MAX)")
	f.mostGiven = func() bool { return c.Flags().Changed("record-max") }
	_ = c.RegisterFlagCompletionFunc("record-max", cobra.NoFileCompletions) // fails for an undeclared flag only
	c.Flags().BoolVar(&f.detach, "detach", false, "print the run's id and leave the run to the background; 'fleet history show --follow' shows it")
}

// declareOff is declare for what cannot be detached.
func (f *recordFlags) declareOff(c *cobra.Command, what string) {
	c.Flags().BoolVar(&f.off, "no-record", false, "keep no record of "+what+"; FLEET_RECORD=off for all")
}

// recordedVariables change what the words of a command line mean.
var recordedVariables = []string{"FLEET_INVENTORY", "FLEET_SSH_CONFIG"}

// recording is a sink that records what it shows.
type recording struct {
	render.Sink
	rec    *record.Recorder
	dir    string
	stop   *interrupts
	detach *detachment     // nil: the run stays on the terminal
	server *control.Server // nil: nobody can ask for anything
	refuse error           // why nothing is to be run; set before the first host starts
	cut    *atomic.Bool    // the record has not all
}

// begin returns a sink that also records a run of that kind over hosts, or nil
// where none is to be recorded. Whoever gets one closes its rec.
func (f *recordFlags) begin(e *env, stop *interrupts, sink render.Sink, kind, pattern string, hosts []string) (*recording, error) {
	keep, off, err := retention(e)
	if err != nil {
		return nil, err
	}
	if f.off || off {
		return nil, nil
	}
	most, err := f.budget(e)
	if err != nil {
		return nil, err
	}
	cut := new(atomic.Bool)
	warn := func(err error) {
		text := "the record of this run is not whole: "
		if errors.Is(err, record.ErrRetention) {
			text = "the record: "
		} else {
			cut.Store(true)
		}
		sink.Note("fleet: warning: " + text + err.Error())
		var way interface{ Hint() string }
		if errors.As(err, &way) {
			sink.Note("fleet: hint: " + way.Hint())
		}
	}
	dir, err := record.Dir(e.getenv)
	if err != nil {
		warn(err)
		return nil, nil
	}
	cfg := record.Config{
		Dir: dir, Kind: kind, Pattern: pattern, Hosts: hosts, Argv: e.args, Version: versionLine(), User: userName(e),
		Environ: map[string]string{}, Secrets: &secrets, Warn: warn, Keep: keep, Most: most,
	}
	if e.rerun != nil {
		cfg.RerunOf = e.rerun.of
	}
	for _, name := range recordedVariables {
		if value := e.getenv(name); value != "" {
			cfg.Environ[name] = value
		}
	}
	cfg.WorkDir, _ = os.Getwd()    // empty where it is gone
	cfg.Machine, _ = os.Hostname() // empty where there is none
	cfg.Detached = e.detach != nil
	r := &recording{Sink: sink, rec: record.New(cfg), dir: dir, stop: stop, detach: e.detach, cut: cut}
	if e.detach != nil {
		if err := r.rec.Opened(context.Background()); err != nil {
			return nil, fmt.Errorf("--detach: a run that is not recorded could not be looked at: %w", errors.Join(err, r.rec.Close()))
		}
	}
	return r, nil
}

// begun holds commands back until the store knows of their hosts, and sends none
// of a run that is not to be.
func (r *recording) begun(ctx context.Context, host string) error {
	if r.refuse != nil {
		return r.refuse
	}
	return r.rec.Begun(ctx, host)
}

// close ends the record of a run that may not have started.
func (r *recording) close() {
	if r.server != nil {
		r.server.Close() //nolint:errcheck // a socket that stays does no harm
	}
	r.rec.Close() //nolint:errcheck // told by then
}

// listen lets other processes of fleet ask for the end of the run, and for what
// its hosts write.
func (r *recording) listen(id string) {
	path := record.Socket(r.dir, id)
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		r.server, err = control.Listen(path, func(what string) error {
			if what != askStop {
				return fmt.Errorf("%q is not known", what)
			}
			select {
			case r.stop.caught <- os.Interrupt:
			default: // two were, which is as much as there is
			}
			return nil
		}, map[string]control.Feed{askFollow: r.feed})
	}
	if err != nil {
		r.rec.Note("'fleet cancel' does not reach this run: " + err.Error())
	}
}

// retention is what $FLEET_RECORD_AGE and $FLEET_RECORD_SIZE keep; off is
// $FLEET_RECORD.
func retention(e *env) (keep record.Retention, off bool, err error) {
	switch v := e.getenv("FLEET_RECORD"); v {
	case "off":
		off = true
	case "", "on":
	default:
		return keep, false, usage(errors.New("$FLEET_RECORD is "+quoteWord(v)), "it is on or off")
	}
	keep = record.Usual
	if v := e.getenv("FLEET_RECORD_AGE"); v != "" {
		if keep.Age, err = parseAge(v); err != nil {
			return keep, false, usage(errors.New("$FLEET_RECORD_AGE is "+quoteWord(v)), "it is a time such as 90d or 12h; 0 keeps all")
		}
	}
	if v := e.getenv("FLEET_RECORD_SIZE"); v != "" {
		var size byteSize
		if err := size.Set(v); err != nil {
			return keep, false, usage(errors.New("$FLEET_RECORD_SIZE is "+quoteWord(v)), "it is a size such as 500M or 2G; 0 keeps all")
		}
		keep.Size = size.bytes
	}
	return keep, off, nil
}

// budget is how much of what hosts write is kept.
func (f *recordFlags) budget(e *env) (int64, error) {
	most := byteSize{record.UsualMost}
	if v := e.getenv("FLEET_RECORD_MAX"); v != "" {
		if err := most.Set(v); err != nil {
			return 0, usage(errors.New("$FLEET_RECORD_MAX is "+quoteWord(v)), "it is a size such as 500M or 2G; 0 keeps all")
		}
	}
	if f.mostGiven != nil && f.mostGiven() {
		most = f.most
	}
	return most.bytes, nil
}

// parseAge is time.ParseDuration with days and weeks.
func parseAge(s string) (time.Duration, error) {
	for unit, d := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if n, err := strconv.ParseUint(strings.TrimSuffix(s, unit), 10, 16); err == nil && strings.HasSuffix(s, unit) {
			return time.Duration(n) * d, nil
		}
	}
	d, err := time.ParseDuration(s)
	if s == "0" {
		return 0, nil
	}
	if err == nil && d < 0 {
		err = errors.New("a time cannot be negative")
	}
	return d, err
}

// userName is who runs fleet, and who became that by sudo.
func userName(e *env) string {
	name := e.getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if from := e.getenv("SUDO_USER"); from != "" && from != name {
		name += " (" + from + " by sudo)"
	}
	return name
}

// Start implements event.Sink.
func (r *recording) Start(run event.Run) {
	r.rec.Start(run)
	r.listen(run.ID)
	if r.detach != nil {
		r.refuse = r.detach.leave(run.ID, r.rec)
	}
	r.Sink.Start(run)
}

// Started implements event.Sink.
func (r *recording) Started(host string, at time.Time) {
	r.rec.Started(host, at)
	r.Sink.Started(host, at)
}

// Whole implements event.WholeSink.
func (r *recording) Whole(o event.Output) {
	r.rec.Output(o)
	r.Sink.Whole(o)
}

// Resent implements event.RetrySink.
func (r *recording) Resent(host string) {
	r.rec.Resent(host)
	r.Sink.Resent(host)
}

// Mark implements event.MarkSink.
func (r *recording) Mark(m event.Mark) {
	r.rec.Mark(m)
	r.Sink.Mark(m)
}

// Result implements event.Sink.
func (r *recording) Result(res event.Result) {
	r.rec.Result(res)
	r.Sink.Result(res)
}

// Note implements render.Sink.
func (r *recording) Note(text string) {
	r.rec.Note(text)
	r.Sink.Note(text)
}

// Finish implements event.Sink. What is wrong with the record was told by then,
// and does not change how the run ended.
func (r *recording) Finish(s event.Summary) error {
	r.rec.Finish(s) //nolint:errcheck // see above
	s.Recorded, s.RecordCut = r.rec.Known(), r.cut.Load()
	return errors.Join(r.refuse, r.Sink.Finish(s))
}

// halted records what is done after the run has stopped before its end. Nobody is
// there where nothing is recorded.
func (r *recording) halted(ctx context.Context, e *env, run string, m event.Mark) {
	if r == nil || !r.rec.Known() {
		return
	}
	if err := r.rec.Halted(ctx, run, m); err != nil {
		tell(e.stderr, "fleet: ", "warning: on halt: not recorded: "+err.Error())
	}
}

// openRecord opens the store for looking things up.
func openRecord(ctx context.Context, e *env) (*record.Store, error) {
	dir, err := record.Dir(e.getenv)
	if err != nil {
		return nil, err
	}
	s, err := record.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := s.Unsettled(); err != nil {
		tell(e.stderr, "fleet: ", "warning: a run whose process has died is shown as running: "+err.Error())
	}
	return s, nil
}

// splitRun takes RUN[:WHICH] apart: which hosts of which run.
func splitRun(word string) (run string, which record.Which, err error) {
	run, text, found := strings.Cut(strings.TrimPrefix(word, "@"), ":")
	if !found {
		return run, "", nil
	}
	if which = record.Which(text); !slices.Contains(record.Whiches(), which) {
		names := make([]string, 0, 10)
		for _, w := range record.Whiches() {
			names = append(names, string(w))
		}
		return run, "", usage(errors.New(quoteWord(word)+": no such hosts of a run"), "behind the colon stands one of "+strings.Join(names, ", "))
	}
	return run, which, nil
}

// lookUpRuns has patterns mean the hosts of recorded runs: @last, @last-failed,
// @RUN:failed. @last is all hosts of that run, @last-failed those that were not
// ok.
func lookUpRuns(e *env) func(name string) ([]string, bool, error) {
	return func(name string) ([]string, bool, error) {
		run, which, err := splitRun(name)
		switch {
		case err != nil:
			return nil, true, err
		case run == "last", run == "last-failed", which != "", len(run) == 26:
		default: // a group that is not there, most likely
			return nil, false, nil
		}
		ctx := context.Background()
		s, err := openRecord(ctx, e)
		if err != nil {
			return nil, true, err
		}
		defer s.Close()
		found, err := s.Find(ctx, run)
		if err != nil {
			return nil, true, err
		}
		switch {
		case which != "":
		case run == "last-failed":
			which = record.NotOK
		default:
			which = record.All
		}
		hosts, err := s.Select(ctx, found, which)
		return hosts, true, err
	}
}
