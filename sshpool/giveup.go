package sshpool

import (
	"bytes"
	"context"
	"errors"
	"time"

	"fleet/internal/remote"
)

// giveUp begins to end a command for the reason why, and says whether its end is
// not waited for. One that has ended by itself before, and only left something that
// holds its output open, is not given up: there is nothing to end, and how it ended
// is known.
func (r *running) giveUp(why error) (over bool, err error) {
	switch {
	case r.givenUp:
		return false, nil
	case r.exited && !r.out.behind() && !r.err.behind():
		r.res.Lingering = true
		return true, nil
	}
	r.givenUp, r.why = true, why
	if r.endSupervised() || r.awaitAnswer() || r.endBeside() || r.awaitBegin() {
		return false, nil
	}
	r.stop()
	return true, why
}

// cannotRead gives a command up whose input could not be read to its end, unless
// it has ended meanwhile.
func (r *running) cannotRead(err error) (over bool, why error) {
	if r.exited {
		return false, nil
	}
	return r.giveUp(&Error{Op: opExec, Kind: KindInternal, Stage: StageCommand, Err: err, Sent: true, Text: "read input: " + err.Error()})
}

// endSupervised asks the host to end the command that the caller gave up, and
// says whether there is an answer to wait for.
func (r *running) endSupervised() bool {
	if r.sup == nil || r.sup.polled() || r.replied != nil {
		return false // see settle
	}
	if r.begun != nil { // who asks for a password would take it for one
		return false
	}
	r.ending = true
	r.sup.follow.End()
	go r.tellEnd() // waits while the connection takes no bytes
	r.limit.stop()
	r.limit = newLimit(r.sup.grace + endSlack)
	return true
}

// answerWait is how long a command that was given up right after it was sent
// waits for the host's answer, with which it can be ended for sure.
const answerWait = 2 * time.Second

// awaitAnswer says whether an answer is to be waited for.
func (r *running) awaitAnswer() bool {
	if r.sup == nil || r.sup.polled() || r.replied == nil || r.begun != nil {
		return false
	}
	r.limit.stop()
	r.limit = newLimit(answerWait)
	return true
}

// readsInput says that what is sent to a supervised command is its input, whose
// end it might take for the end of all there is.
func (r *running) readsInput() bool { return r.sup != nil && r.sup.spec.Stdin && !r.sup.spec.TTY }

// endBeside asks the host, on a channel of its own, to end a command that reads
// what it is sent, and says whether there is an answer to wait for. The command's
// own channel stays open meanwhile: its close would end the input, and the command
// would go on with a part of it.
func (r *running) endBeside() bool {
	if !r.readsInput() {
		return false
	}
	is, begun := r.sup.follow.Began()
	if !begun {
		return false
	}
	r.limit.stop()
	r.limit = limit{}
	beside := make(chan looked, 1)
	r.beside = beside
	ch := r.s.ch
	go func() { // where the host takes it, it comes before its next look
		ch.SendRequest("signal", false, appendString(nil, "TERM"))
	}()
	go func() { beside <- r.look(is, false) }()
	return true
}

// awaitBegin says whether it is to be waited for that a command which reads what it
// is sent has begun, so that it can be ended as endBeside does.
func (r *running) awaitBegin() bool {
	if !r.readsInput() {
		return false
	}
	r.awaits = r.sup.follow.Begun()
	r.limit.stop()
	r.limit = newLimit(answerWait)
	return true
}

// looks is how often a host is asked what is left of a command; see stop for why
// an answer may not come.
const looks = 3

// looked is what a look gave.
type looked struct {
	report *remote.Report // nil: that is not known
	full   bool           // there was no session for it
}

// lookLast is look once the command's own channel is closed, where that was not
// looked at before.
func (r *running) lookLast(is remote.Began) *remote.Report {
	if r.beside != nil {
		got := <-r.beside
		r.looked = &got
	}
	if r.looked == nil || r.looked.full {
		got := r.look(is, true)
		r.looked = &got
	}
	return r.looked.report
}

// look asks the host, on a channel of its own, what is left of the command. It may
// wait for a session that others hold, or not.
func (r *running) look(is remote.Began, wait bool) looked {
	limit := r.sup.grace + endSlack
	ctx, cancel := context.WithTimeout(context.Background(), limit+lookSlack)
	defer cancel()
	go func() {
		select {
		case <-r.leave:
			cancel()
		case <-ctx.Done():
		}
	}()
	line := remote.Look(&r.sup.spec, r.sup.nonce, is, limit)
	for range looks {
		var out bytes.Buffer
		_, err := r.c.Run(ctx, Command{Text: line, Stdout: &out, noWait: !wait})
		if report := remote.ReadLook(r.sup.nonce, out.Bytes()); report != nil {
			return looked{report: report}
		}
		var e *Error
		if !wait && errors.As(err, &e) && e.Kind == KindSessionLimit {
			return looked{full: true}
		}
		if err != nil && (ctx.Err() != nil || r.c.Err() != nil) {
			break
		}
	}
	return looked{}
}
