package render

import "fleet/internal/event"

// quiet shows nothing but the status line and, in the summary, what failed.
type quiet struct{ base }

func newQuiet(o Options) *quiet {
	q := &quiet{}
	q.init(o, false)
	return q
}

// Result implements event.Sink.
func (q *quiet) Result(r event.Result) {
	discard(r.Stdout, r.Stderr)
	q.count(r)
}

// Finish implements event.Sink.
func (q *quiet) Finish(s event.Summary) error { return q.finish(s, false) }
