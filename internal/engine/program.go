package engine

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"

	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/tasks"
)

// Work is what a run does on each host where it is no command.
type Work struct {
	What string // in one word, a noun: push, pull
	// Do does it. It runs beside the run's loop, for many hosts at once, and
	// returns when ctx ends. The transfer is what was done by then, also beside
	// an error; an *sshpool.Error or a *scheduler.Error tells its cause.
	Do func(ctx context.Context, j Job) (*event.Transfer, error)
	// Become says that Do heeds Job.Become; else hosts at which another user is
	// wanted are refused.
	Become bool
}

// check refuses hosts at which another user is wanted and cannot be had, rather
// than do it as the login user.
func (w *Work) check(becomes map[string]*scheduler.Become) error {
	if w == nil || w.Become || len(becomes) == 0 {
		return nil
	}
	return hinted(fmt.Errorf("%s as another user (become) is not supported yet; nothing was done on %s", w.What,
		inventory.Fold(slices.Sorted(maps.Keys(becomes)))), "become: false in the inventory, for these hosts, does it as the login user")
}

// Job is the work on one host.
type Job struct {
	Host *inventory.Host
	Conn *sshpool.Conn
	// Become is whom commands run as; nil is the login user.
	Become *sshpool.Become
	// Stdout and Stderr get what the host has to show, as a command's output;
	// each is for one goroutine at a time. What is written after Do has returned
	// is dropped.
	Stdout, Stderr io.Writer
	// Progress tells how far the work has come. It does not block.
	Progress func(event.Progress)
	// Address is where the host listens, as "name:port"; behind jump hosts, as the
	// last of them sees it.
	Address string
	// Hold gives Conn, or one like it, for use beyond the work, until release is
	// called or the run is over.
	Hold func(ctx context.Context) (conn *sshpool.Conn, release func(), err error)
}

// program is what is done on each host.
func (r *Run) program(res *results) scheduler.Program {
	p := r.once(res)
	retry := r.req.Retry
	if retry.Times == 0 {
		return p
	}
	retry.Jitter, retry.Told = rand.Float64, res.retrying(retry.Times+1)
	return retry.Program(p)
}

// once is what one try of it is.
func (r *Run) once(res *results) scheduler.Program {
	work := r.req.Work
	if work == nil {
		return r.command(res).Program()
	}
	hosts := make(map[string]*inventory.Host, len(r.req.Hosts))
	for _, h := range r.req.Hosts {
		hosts[h.Name] = h
	}
	begin := func(host string) func(context.Context, any) error {
		j := res.begin(hosts[host])
		j.Become = poolBecome(r.becomes[host])
		if t, err := r.reach.Target(host); err == nil {
			j.Address = net.JoinHostPort(t.Address, strconv.Itoa(cmp.Or(t.Port, sshpool.DefaultPort)))
			j.Hold = func(ctx context.Context) (*sshpool.Conn, func(), error) { return r.pool.Get(ctx, t) }
		}
		return func(ctx context.Context, conn any) error { return j.do(ctx, conn, work) }
	}
	return tasks.Work{What: work.What, Limit: r.req.Timeout, Begin: begin}.Program()
}

// begin opens the books of one host's Work.
func (r *results) begin(host *inventory.Host) *job {
	j := &job{Job: Job{Host: host}}
	j.Stdout, j.Stderr = r.output(host.Name)
	sink, _ := r.sink.(event.ProgressSink)
	j.Progress = func(p event.Progress) {
		j.mu.Lock()
		defer j.mu.Unlock()
		if sink != nil && !j.over {
			p.Host = host.Name
			sink.Progress(p)
		}
	}
	r.jobs[host.Name] = j
	return j
}

// job is a Work under way. A run that is left at once does not wait for it.
type job struct {
	Job
	mu   sync.Mutex
	over bool // the host has its result
	did  *event.Transfer
}

func (j *job) do(ctx context.Context, conn any, work *Work) error {
	lent := j.Job
	var ok bool
	if lent.Conn, ok = conn.(*sshpool.Conn); !ok {
		return fmt.Errorf("%s: connection is a %T", work.What, conn)
	}
	did, err := work.Do(ctx, lent)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.did = did
	return err
}

// leave lets nothing more through and gives what is known to be done.
func (j *job) leave() *event.Transfer {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.over = true
	if j.did == nil {
		return new(event.Transfer)
	}
	return j.did
}
