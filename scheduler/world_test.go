package scheduler_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fleet/scheduler"
)

// world is a Poller that answers as its rules say, on a clock of its own.
type world struct {
	now     time.Time
	rules   []rule
	stops   []time.Duration
	panics  map[string]time.Duration
	aliens  []time.Duration
	pending []pendingOp
	seq     int
}

type rule struct {
	host, op  string
	after     time.Duration // negative: never
	err       string
	canceling string // the error after a cancel
	deaf      time.Duration
	met       bool // an op asked for it
}

type pendingOp struct {
	id       scheduler.ID
	op       string
	at       time.Time // zero: never
	seq      int
	value    any
	err      error
	rule     rule
	canceled bool
}

var worldEpoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld() *world {
	return &world{now: worldEpoch, panics: map[string]time.Duration{}}
}

func (w *world) rule(words []string) (err error) {
	switch words[0] {
	case "stop":
		d, err := time.ParseDuration(words[1])
		w.stops = append(w.stops, d)
		return err
	case "alien":
		d, err := time.ParseDuration(words[1])
		w.aliens = append(w.aliens, d)
		return err
	case "panic":
		w.panics[words[1]], err = time.ParseDuration(words[2])
		return err
	}
	r := rule{host: words[0], op: words[1], canceling: "canceled"}
	if words[2] == "never" {
		r.after = -1
	} else if r.after, err = time.ParseDuration(words[2]); err != nil {
		return err
	}
	for _, w := range words[3:] {
		key, value, ok := strings.Cut(w, "=")
		switch {
		case !ok:
			r.err = w
		case key == "cancel":
			r.canceling = value
		case key == "deaf":
			if r.deaf, err = time.ParseDuration(value); err != nil {
				return err
			}
		case key == "exit":
			r.err = w
		default:
			return errors.New("unknown word " + w)
		}
	}
	w.rules = append(w.rules, r)
	return nil
}

func (w *world) boom(where string) {
	if d, ok := w.panics[where]; ok && w.now.Sub(worldEpoch) >= d {
		panic(where + " is broken")
	}
}

func (w *world) Submit(id scheduler.ID, host string, op scheduler.Op) {
	w.boom("submit")
	w.seq++
	p := pendingOp{id: id, op: op.String(), seq: w.seq}
	switch o := op.(type) {
	case scheduler.Stop:
		if len(w.stops) > 0 {
			p.at = worldEpoch.Add(w.stops[0])
			w.stops = w.stops[1:]
		}
	case scheduler.Release:
		p.at = w.now
	default:
		p.rule = w.find(host, o)
		if p.rule.after >= 0 {
			p.at = w.now.Add(p.rule.after)
		}
		p.value, p.err = result(o, p.rule.err)
	}
	w.pending = append(w.pending, p)
}

func (w *world) find(host string, op scheduler.Op) rule {
	word, _, _ := strings.Cut(op.String(), " ")
	name := word
	if e, ok := op.(scheduler.Exec); ok {
		name += ":" + e.Command
	}
	for i, r := range w.rules {
		if (r.host == "*" || r.host == host) && (r.op == word || r.op == name) {
			w.rules[i].met = true
			return r
		}
	}
	return rule{after: time.Second, canceling: "canceled"}
}

func result(op scheduler.Op, word string) (any, error) {
	if _, ok := op.(scheduler.Exec); !ok {
		return nil, scriptError(word)
	}
	var res scheduler.ExecResult
	if n, err := fmt.Sscanf(word, "exit=%d", &res.ExitCode); n == 1 && err == nil {
		word = ""
	}
	return res, scriptError(word)
}

func (w *world) Cancel(id scheduler.ID) {
	w.boom("cancel")
	for i := range w.pending {
		p := &w.pending[i]
		if p.id == id && !p.canceled {
			p.canceled = true
			p.at = w.now.Add(p.rule.deaf)
			p.err = scriptError(cmp.Or(p.rule.canceling, "canceled"))
		}
	}
}

func (w *world) Poll(until time.Time) (time.Time, []scheduler.Completion) {
	w.boom("poll")
	slices.SortStableFunc(w.pending, func(a, b pendingOp) int {
		if a.at.IsZero() != b.at.IsZero() {
			if a.at.IsZero() {
				return 1
			}
			return -1
		}
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq))
	})
	wake := until
	if len(w.pending) > 0 && !w.pending[0].at.IsZero() && (until.IsZero() || w.pending[0].at.Before(until)) {
		wake = w.pending[0].at
	}
	if wake.IsZero() {
		panic("world: poll would wait for ever")
	}
	if wake.After(w.now) {
		w.now = wake
	}
	var done []scheduler.Completion
	for len(w.pending) > 0 && !w.pending[0].at.IsZero() && !w.pending[0].at.After(w.now) {
		p := w.pending[0]
		w.pending = w.pending[1:]
		done = append(done, scheduler.Completion{ID: p.id, Value: p.value, Err: p.err})
	}
	if len(w.aliens) > 0 && !worldEpoch.Add(w.aliens[0]).After(w.now) {
		w.aliens = w.aliens[1:]
		done = append(done, scheduler.Completion{ID: 999})
	}
	return w.now, done
}

// Now makes the world a scheduler.Clock.
func (w *world) Now() time.Time { return w.now }

func (w *world) left() (ops []string) {
	for _, p := range w.pending {
		ops = append(ops, fmt.Sprintf("#%d %s", p.id, p.op))
	}
	return ops
}
