package engine

import (
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"fleet/internal/event"
	"fleet/internal/output"
	"fleet/scheduler"
	"fleet/sshpool/hostkeys"
	"fleet/tasks"
)

// results turns what the scheduler observes into the sink's events. All but
// stream.Write runs on the scheduler's loop.
type results struct {
	sink  event.Sink
	store *output.Store
	limit int64
	keep  bool
	log   *slog.Logger
	open  map[string]*streams // hosts whose command was sent and has not ended
	jobs  map[string]*job     // hosts whose Work was begun and has not ended
}

type streams struct{ stdout, stderr stream }

// stream passes on, and keeps where that is wanted, the first bytes of one
// stream of one host. A run that is left at once does not wait for its commands:
// what they still write after their host's result is dropped.
type stream struct {
	mu      sync.Mutex
	over    bool // the host has its result
	sink    event.Sink
	whole   event.WholeSink // nil: nobody wants more than is shown
	host    string
	name    event.Stream
	bytes   int64           // all that came
	left    int64           // may still be shown
	cut     bool            // more came than that
	capture *output.Capture // nil: nothing is kept
}

func (s *stream) Write(p []byte) (int, error) {
	if s.whole != nil { // it may wait, and end must not
		s.whole.Whole(event.Output{Host: s.host, Stream: s.name, Data: p, Time: time.Now()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return len(p), nil
	}
	s.bytes += int64(len(p))
	shown := p[:min(int64(len(p)), s.left)]
	s.left -= int64(len(shown))
	s.cut = s.cut || len(shown) < len(p)
	if len(shown) == 0 {
		return len(p), nil
	}
	if s.capture != nil {
		s.capture.Write(shown)
	}
	s.sink.Output(event.Output{Host: s.host, Stream: s.name, Data: shown, Time: time.Now()})
	return len(p), nil
}

// end lets nothing more through and gives what was kept. A capture has the
// stream's own limit, so that one that is truncated met a fault.
func (s *stream) end() (kept *output.Capture, truncated bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	return s.capture, s.cut || s.capture.Truncated()
}

func (r *results) output(host string) (stdout, stderr io.Writer) {
	whole, _ := r.sink.(event.WholeSink)
	s := &streams{
		stdout: stream{sink: r.sink, whole: whole, host: host, name: event.Stdout, left: r.limit},
		stderr: stream{sink: r.sink, whole: whole, host: host, name: event.Stderr, left: r.limit},
	}
	if before := r.open[host]; before != nil { // of an earlier try
		r.resent(host, before)
	}
	if r.keep {
		s.stdout.capture, s.stderr.capture = r.store.Capture(r.limit), r.store.Capture(r.limit)
	}
	r.open[host] = s
	return &s.stdout, &s.stderr
}

// resent gives up what an earlier try of the host wrote.
func (r *results) resent(host string, before *streams) {
	for _, s := range []*stream{&before.stdout, &before.stderr} {
		kept, _ := s.end()
		kept.Discard()
	}
	if sink, ok := r.sink.(event.RetrySink); ok {
		sink.Resent(host)
	}
}

// retrying tells of a try that is followed by another.
func (r *results) retrying(of int) func(string, int, *scheduler.Cause, time.Duration) {
	sink, ok := r.sink.(event.RetrySink)
	if !ok {
		return nil
	}
	return func(host string, try int, cause *scheduler.Cause, wait time.Duration) {
		sink.Retry(event.Retry{Host: host, Try: try, Of: of, Cause: *cause, Wait: wait, Time: time.Now()})
	}
}

func (r *results) observe(ev scheduler.Event) {
	switch ev.Kind {
	case scheduler.HostStart:
		r.sink.Started(ev.Host, ev.Time)
	case scheduler.HostDone:
		if len(ev.Stack) > 0 && r.log != nil {
			r.log.Error("program panicked", "host", ev.Host, "stack", string(ev.Stack))
		}
		r.sink.Result(r.result(ev))
	case scheduler.GateDone:
		if len(ev.Stack) > 0 && r.log != nil {
			r.log.Error("gate panicked", "stack", string(ev.Stack))
		}
	case scheduler.Slow:
		if r.log != nil {
			r.log.Warn("program held the loop", "host", ev.Host, "took", ev.Took)
		}
	}
}

func (r *results) result(ev scheduler.Event) event.Result {
	res := event.Result{Host: ev.Host, Outcome: ev.Outcome, Cause: ev.Cause, Time: ev.Time}
	if ev.Outcome != scheduler.Skipped {
		res.Tries = 1
	}
	value := ev.Value
	if v, ok := value.(*tasks.Retried); ok {
		value, res.Tries = v.Value, v.Tries
	}
	switch v := value.(type) {
	case *tasks.CommandResult:
		res.Detail = KeyDetail(v.Err)
		res.Attempts, res.Connect = v.Connect.Attempts, v.Connect.Took
		res.Run, res.Signal, res.Lingering = v.Exec.Took, v.Exec.Signal, v.Exec.Lingering
		res.StdoutBytes, res.StderrBytes = v.Exec.StdoutBytes, v.Exec.StderrBytes
		s := v.Exec.Supervised
		res.PID, res.Left, res.Noise, res.NoiseBytes = s.PID, s.Left, s.Noise, s.NoiseBytes
		if v.Exec.HasExit {
			res.ExitCode = &v.Exec.ExitCode
		}
	case *tasks.WorkResult:
		res.Detail = KeyDetail(v.Err)
		res.Attempts, res.Connect, res.Run = v.Connect.Attempts, v.Connect.Took, v.Took
		if job := r.jobs[ev.Host]; job != nil {
			delete(r.jobs, ev.Host)
			res.Transfer = job.leave()
		}
	}
	if s := r.open[ev.Host]; s != nil {
		delete(r.open, ev.Host)
		if v, ok := value.(*tasks.CommandResult); ok || value == nil && r.jobs[ev.Host] == nil {
			res.Kill = killOf(res, v)
		}
		var cut [2]bool
		res.Stdout, cut[0] = s.stdout.end()
		res.Stderr, cut[1] = s.stderr.end()
		if res.Transfer != nil || value == nil { // nobody else has counted
			res.StdoutBytes, res.StderrBytes = s.stdout.bytes, s.stderr.bytes
		}
		res.Truncated = cut[0] || cut[1]
		res.Unstored = res.Stdout.Truncated() || res.Stderr.Truncated()
	}
	return res
}

// killOf says what became of a command that was sent and given up. Where the
// run did not wait for it (v is nil), nobody knows.
func killOf(res event.Result, v *tasks.CommandResult) event.Kill {
	givenUp := res.Outcome == scheduler.Canceled ||
		res.Outcome == scheduler.Failed && res.Cause != nil && res.Cause.Kind == scheduler.KindTimeout
	switch {
	case v != nil && v.Exec.Took == 0: // given up before it was sent
	case v != nil && v.Exec.Supervised.Killed:
		return event.Killed
	case v != nil && v.Exec.Supervised.Unkilled, givenUp:
		return event.KillUnconfirmed
	}
	return ""
}

// KeyDetail says which keys were known and which was shown, where err is that a
// host's key was refused though known_hosts knows the host; else it is empty.
func KeyDetail(err error) string {
	var refusal *hostkeys.Error
	if !errors.As(err, &refusal) || refusal.Reason == hostkeys.ReasonUnknown {
		return ""
	}
	return refusal.Detail()
}
