package tasks

import (
	"context"
	"time"

	"fleet/scheduler"
)

// Work is what is done with the connection of each host by code on this side,
// such as copying files to it.
type Work struct {
	// What names the work in one word, a noun: push, pull.
	What string
	// Limit is the longest that it may take on a host, connected; 0 is no limit.
	Limit time.Duration
	// Begin gives what is done for host. It is called once a host, just before
	// it is done, on the scheduler's loop. What it gives is run as that of a
	// scheduler.Use.
	Begin func(host string) func(ctx context.Context, conn any) error
}

// WorkResult is the result value of a Work, also of one that failed.
type WorkResult struct {
	Connect scheduler.ConnectResult
	Took    time.Duration // of the work alone
	Err     error         // why there is no connection; nil if there was one
}

// Program is the work for one host. Its value is a *WorkResult, never nil.
func (w Work) Program() scheduler.Program {
	return func(r *scheduler.Remote) (any, error) {
		res := new(WorkResult)
		var err error
		if res.Connect, err = r.Connect(); err != nil {
			res.Err = err
			return res, err
		}
		began := r.Now()
		err = r.Use(w.What, w.Begin(r.Host()), w.Limit)
		res.Took = r.Now().Sub(began)
		return res, err
	}
}
