package tasks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleet/scheduler"
)

// Retry says which tries of a host that end badly are followed by another.
type Retry struct {
	Times int // tries after the first; 0 is none
	On    RetryOn
	// Wait is left before the second try, twice that before the third and so on up
	// to RetryMost, each from half to one and a half of it, as Jitter says.
	Wait   time.Duration
	Jitter func() float64 // in [0,1); nil is 0.5
	// Told, where not nil, is told on the loop of a try that ended badly and is
	// followed by another after wait. Tries count from 1.
	Told func(host string, try int, cause *scheduler.Cause, wait time.Duration)
}

// RetryMost is the longest wait before jitter.
const RetryMost = time.Minute

// throttledWait is left, beside the wait, for a server that turns connections
// away: a pool leaves it alone for 15 s, and a try in that time is none.
const throttledWait = 16 * time.Second

// Retried is the result value of a program that may be tried again.
type Retried struct {
	Value any // of the try that decides
	Tries int
}

// RetryOn is a set of causes. The zero RetryOn is that of a command that was
// never sent.
type RetryOn struct {
	words []string
	codes []int
}

// retryWords are what RetryOn knows beside kinds of causes and exit=N.
var retryWords = []string{"unreachable", "lost", "failed", "timeout", "exit", "signal"}

// retryKinds are the kinds of causes that may be worth another try and that one
// can ask for by name.
var retryKinds = []scheduler.Kind{
	scheduler.KindDNS, scheduler.KindRefused, scheduler.KindNoRoute, scheduler.KindThrottled, scheduler.KindConnLost,
	scheduler.KindNoStatus, scheduler.KindSessionLimit, scheduler.KindRemoteNoSpace,
}

// retryNever are those that no repetition makes better, or that must not be
// repeated: a refused login costs penalties, a key that is wrong stays wrong.
var retryNever = []scheduler.Kind{
	scheduler.KindAuth, scheduler.KindHostKeyUnknown, scheduler.KindHostKeyChanged, scheduler.KindHostKeyRevoked, scheduler.KindKexMismatch,
	scheduler.KindBecomePassword, scheduler.KindBecomeDenied, scheduler.KindPermission, scheduler.KindInternal, scheduler.KindCanceled,
}

// RetryWords lists the words that ParseRetryOn knows.
func RetryWords() []string {
	words := slices.Clone(retryWords)
	for _, k := range retryKinds {
		words = append(words, string(k))
	}
	return words
}

// ParseRetryOn reads causes joined by commas: "unreachable,timeout,exit=75".
func ParseRetryOn(s string) (RetryOn, error) {
	var on RetryOn
	for word := range strings.SplitSeq(s, ",") {
		word = strings.TrimSpace(word)
		if code, ok := strings.CutPrefix(word, "exit="); ok {
			n, err := strconv.Atoi(code)
			if err != nil || n < 1 || n > 255 {
				return RetryOn{}, fmt.Errorf("retry-on %q: exit status from 1 to 255 wanted", word)
			}
			on.codes = append(on.codes, n)
			continue
		}
		if !slices.Contains(RetryWords(), word) {
			return RetryOn{}, fmt.Errorf("retry-on %q: not one of %s, exit=N", word, strings.Join(RetryWords(), ", "))
		}
		on.words = append(on.words, word)
	}
	return on, nil
}

// matches says whether a try that ended so is followed by another.
func (on RetryOn) matches(e *scheduler.Error, value any) bool {
	if slices.Contains(retryNever, e.Cause.Kind) || e.Outcome == scheduler.Canceled {
		return false
	}
	if len(on.words)+len(on.codes) == 0 {
		return e.Outcome == scheduler.Unreachable
	}
	res, ok := value.(*CommandResult)
	if ok && res.Exec.Supervised.Unkilled {
		return false // it may still run, and must not run twice at a time
	}
	if ok && e.Cause.Kind == scheduler.KindExit && slices.Contains(on.codes, res.Exec.ExitCode) {
		return true
	}
	return slices.Contains(on.words, string(e.Outcome)) || slices.Contains(on.words, string(e.Cause.Kind))
}

// Program tries p again. Its value is a *Retried, never nil.
//
// What is known to have happened on the host decides, not what came last: where
// a try that was sent is followed by one that could not be, the earlier one is
// the host's result, with a note of the later.
func (r Retry) Program(p scheduler.Program) scheduler.Program {
	return func(rem *scheduler.Remote) (any, error) {
		var ran *Retried // the last try that was sent
		var ranErr *scheduler.Error
		for try := 1; ; try++ {
			value, err := p(rem)
			now := &Retried{Value: value, Tries: try}
			var e *scheduler.Error
			if !errors.As(err, &e) {
				return now, err
			}
			if e.Outcome != scheduler.Unreachable || ran == nil || ranErr.Outcome == scheduler.Unreachable {
				ran, ranErr = now, e
			} else {
				ran.Tries = try
			}
			if try > r.Times || !r.On.matches(e, value) {
				return decided(ran, ranErr, e, err)
			}
			wait := r.wait(try)
			if e.Cause.Kind == scheduler.KindThrottled {
				wait += throttledWait
			}
			if r.Told != nil {
				r.Told(rem.Host(), try, &e.Cause, wait)
			}
			if rem.Sleep(wait) != nil { // canceled: the last try stands
				return decided(ran, ranErr, e, err)
			}
		}
	}
}

// decided is the result of a host: that of its last try, unless only an earlier
// one was sent.
func decided(ran *Retried, ranErr, last *scheduler.Error, err error) (any, error) {
	if ranErr == last {
		return ran, err
	}
	told := *ranErr
	told.Cause.Text += fmt.Sprintf(" (the try after it could not be sent: %s)", last.Cause.Text)
	return ran, &told
}

// wait is how long to wait after a try.
func (r Retry) wait(try int) time.Duration {
	d := min(r.Wait<<min(try-1, 20), RetryMost)
	jitter := 0.5
	if r.Jitter != nil {
		jitter = r.Jitter()
	}
	return d/2 + time.Duration(jitter*float64(d))
}
