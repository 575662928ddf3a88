package scheduler

import (
	"context"
	"time"
)

// Use asks for F to be run beside the loop with the host's connection, made if
// there is none. It is for work that is more than one command, such as copying
// files. Conn is what the poller calls a connection, valid until F returns; it
// is never nil. The op completes with F's error.
//
// As with [Do], F must return when ctx ends, and a panic in F completes the op
// with an *Error of kind internal. As with [Exec], what F does counts as done on
// the host: a host that is left while F runs is lost. F is called once more, on
// a new connection, where its error says that the first was gone before anything
// had been sent.
type Use struct {
	What string // the work in one word, a noun: push, pull
	F    func(ctx context.Context, conn any) error
}

func (u Use) String() string { return u.What }

// Use runs f beside the loop with the host's connection and returns its error.
// A limit of 0 is none. See the op of the same name.
func (r *Remote) Use(what string, f func(ctx context.Context, conn any) error, limit time.Duration) error {
	_, err := r.Op(Use{What: what, F: f}, limit)
	return err
}

// acts names what op does on the host, as in "a command in flight"; empty for
// an op after which nothing can have been done there.
func acts(op Op) string {
	switch op := op.(type) {
	case Exec:
		return "a command"
	case Use:
		return "a " + op.What
	}
	return ""
}
