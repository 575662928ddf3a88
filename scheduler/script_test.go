package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/scheduler"
)

// A script is a run written down in a few lines:
//
//	hosts a b c          the names; "hosts 5" is h1 to h5; "panic" among them panics there
//	plan fanout=2 serial=1,50% max-fail=1 total=-1 host-limit=1m deadline=1h grace=5s trace
//	     delay=1s straggler=10s straggler=p95x3 cut
//	gate [HOST]          steps of the gate between batches, on HOST or on none
//	program              steps of every host, or "program a b" for some
//	  connect
//	  exec CMD [5s]      a duration is the op's limit
//	                     (connect, exec, do, use WORD, sleep 1s, hold 1s, fail WORD, panic,
//	                     goexit, doze 1s, defer CMD, defer-panic, retry CMD, persist CMD,
//	                     swallow CMD)
//	world
//	  HOST OP AFTER|never [error] [cancel=error] [deaf=AFTER]
//	                     first match wins; "*" matches any host; OP is the first
//	                     word of the op, with CMD behind it for exec ("exec:CMD")
//	  stop AFTER         one stop of the user; may be repeated
//	  panic submit|poll|cancel AFTER
//	  alien AFTER        a completion that nobody asked for
//
// Ops without a rule complete after 1s without error.
type script struct {
	hosts    []string
	plan     scheduler.Plan
	programs map[string][]step // "" is everyone else
	gate     []step
	world    *world
}

type step struct {
	verb, arg string
	d         time.Duration
}

func parseScript(t *testing.T, text string) *script {
	t.Helper()
	s := &script{programs: map[string][]step{}, world: newWorld()}
	s.plan.Fanout, s.plan.Total = 1, -2
	section, names := "", []string{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		var err error
		switch {
		case !strings.HasPrefix(line, " "):
			section = words[0]
			names = append(words[1:], "")[:max(1, len(words)-1)]
			err = s.head(words)
		case section == "gate":
			s.gate = append(s.gate, parseStep(words))
		case section == "program":
			st := parseStep(words)
			for _, name := range names {
				s.programs[name] = append(s.programs[name], st)
			}
		case section == "world":
			err = s.world.rule(words)
		default:
			err = errors.New("line outside a section")
		}
		if err != nil {
			t.Fatalf("script line %q: %v", line, err)
		}
	}
	s.finish()
	return s
}

func (s *script) head(words []string) (err error) {
	switch words[0] {
	case "hosts":
		s.hosts = words[1:]
		if len(words) == 2 {
			if n, err := strconv.Atoi(words[1]); err == nil {
				s.hosts = nil
				for i := range n {
					s.hosts = append(s.hosts, "h"+strconv.Itoa(i+1))
				}
			}
		}
	case "plan":
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			if err := s.set(key, value); err != nil {
				return err
			}
		}
	case "gate":
		if len(words) > 1 {
			s.plan.GateHost = words[1]
		}
		s.plan.Gate = func(r *scheduler.Remote) (any, error) { return nil, s.perform(r, s.gate) }
	case "program", "world":
	default:
		return errors.New("unknown section")
	}
	return nil
}

func (s *script) set(key, value string) (err error) {
	p := &s.plan
	switch key {
	case "fanout":
		p.Fanout, err = strconv.Atoi(value)
	case "total":
		p.Total, err = strconv.Atoi(value)
	case "serial":
		p.Serial, err = scheduler.ParseSerial(value)
	case "max-fail":
		p.MaxFail, err = scheduler.ParseMaxFail(value)
	case "host-limit":
		p.HostLimit, err = time.ParseDuration(value)
	case "deadline":
		p.Deadline, err = time.ParseDuration(value)
	case "grace":
		p.Grace, err = time.ParseDuration(value)
	case "delay":
		p.Delay, err = time.ParseDuration(value)
	case "straggler":
		p.Straggler, err = scheduler.ParseStraggler(value)
	case "cut":
		p.Straggler.Cut = true
	case "trace":
		p.TraceOps = true
	default:
		err = errors.New("unknown setting " + key)
	}
	return err
}

func (s *script) finish() {
	if s.plan.Total == -2 {
		s.plan.Total = len(s.hosts)
	}
	s.plan.Hosts = func(yield func(string) bool) {
		for _, h := range s.hosts {
			if h == "panic" {
				panic("no more names")
			}
			if !yield(h) {
				return
			}
		}
	}
	s.plan.Program = func(r *scheduler.Remote) (any, error) {
		steps, ok := s.programs[r.Host()]
		if !ok {
			steps = s.programs[""]
		}
		return nil, s.perform(r, steps)
	}
}

func parseStep(words []string) step {
	st := step{verb: words[0]}
	for _, w := range words[1:] {
		if d, err := time.ParseDuration(w); err == nil {
			st.d = d
		} else {
			st.arg = w
		}
	}
	return st
}

// perform runs a program's steps; an error ends it.
func (s *script) perform(r *scheduler.Remote, steps []step) error {
	for _, st := range steps {
		switch st.verb {
		case "defer": // runs a command as the program ends, however it ends
			defer execute(r, st)
		case "defer-panic":
			defer panic(st.arg)
		case "retry": // deaf to every error
			for execute(r, st) != nil {
				continue
			}
		case "persist": // tries again until it is told that it was cancelled
			err := execute(r, st)
			for err != nil && !errors.Is(err, scheduler.ErrCanceled) {
				err = execute(r, st)
			}
			if err != nil {
				return err
			}
		case "doze": // deaf to a cancel
			_ = r.Sleep(st.d)
		case "swallow": // deaf to panics, too
			for !swallow(r, st) {
				continue
			}
		default:
			if err := s.simple(r, st); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *script) simple(r *scheduler.Remote, st step) error {
	switch st.verb {
	case "connect":
		_, err := r.Connect()
		return err
	case "exec":
		return execute(r, st)
	case "do":
		return r.Do(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, st.d)
	case "use":
		return r.Use(st.arg, func(ctx context.Context, _ any) error { <-ctx.Done(); return ctx.Err() }, st.d)
	case "sleep":
		return r.Sleep(st.d)
	case "hold": // keeps the loop waiting
		s.world.now = s.world.now.Add(st.d)
		return nil
	case "panic":
		panic(st.arg)
	case "goexit":
		runtime.Goexit()
	case "release":
		_, err := r.Op(scheduler.Release{}, 0)
		return err
	case "fail":
		return scriptError(st.arg)
	}
	panic("unknown step " + st.verb)
}

func execute(r *scheduler.Remote, st step) error {
	res, err := r.Exec(scheduler.Exec{Command: st.arg}, st.d)
	if err == nil && res.ExitCode != 0 {
		err = &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{
			Kind: scheduler.KindExit, Stage: scheduler.StageCommand, Text: fmt.Sprintf("exit status %d", res.ExitCode)}}
	}
	return err
}

func swallow(r *scheduler.Remote, st step) (ok bool) {
	defer func() { _ = recover() }()
	return execute(r, st) == nil
}

// scriptError makes an error of a word: OUTCOME:KIND (with a "+" behind it one
// that wraps ErrCanceled), "canceled", "ok", "typed-nil" or any text.
func scriptError(word string) error {
	outcome, kind, ok := strings.Cut(word, ":")
	switch {
	case ok:
		kind, canceled := strings.CutSuffix(kind, "+")
		e := &scheduler.Error{Outcome: scheduler.Outcome(outcome), Cause: scheduler.Cause{Kind: scheduler.Kind(kind), Text: kind}}
		if canceled {
			e.Err = scheduler.ErrCanceled
		}
		return e
	case word == "" || word == "ok":
		return nil
	case word == "canceled":
		return fmt.Errorf("op: %w", scheduler.ErrCanceled)
	case word == "typed-nil":
		return (*scheduler.Error)(nil)
	}
	return errors.New(word)
}

// play runs the script and returns its events as text, and what Run returned.
func (s *script) play() ([]scheduler.Event, string) {
	var events []scheduler.Event
	var b strings.Builder
	s.plan.Observe = func(e scheduler.Event) {
		events = append(events, e)
		b.WriteString(e.String() + "\n")
	}
	report, err := scheduler.Run(s.plan, s.world)
	b.WriteString("report")
	for _, o := range scheduler.Outcomes {
		if n := report.Counts[o]; n > 0 {
			fmt.Fprintf(&b, " %s=%d", o, n)
		}
	}
	fmt.Fprintf(&b, " started=%d batches=%d wall=%v", report.Started, report.Batches, report.Wall)
	for _, early := range []struct {
		word string
		set  bool
	}{{" halted", report.Halted}, {" deadline", report.Deadline}, {" interrupted", report.Interrupted}} {
		if early.set {
			b.WriteString(early.word)
		}
	}
	b.WriteString("\n")
	if report.Gate != nil {
		fmt.Fprintf(&b, "gate %v\n", report.Gate)
	}
	if err != nil {
		fmt.Fprintf(&b, "error %v\n", err)
	}
	if left := s.world.left(); len(left) > 0 {
		fmt.Fprintf(&b, "left in flight %v\n", left)
	}
	return events, b.String()
}

func readScript(t *testing.T, path string) (script, want string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	script, want, _ = strings.Cut(string(data), "----\n")
	return script, want
}
