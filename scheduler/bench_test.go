package scheduler_test

import (
	"iter"
	"strconv"
	"testing"
	"time"

	"fleet/scheduler"
)

// instant is a poller that completes every op in the next Poll.
type instant struct {
	now  time.Time
	done []scheduler.Completion
	back []scheduler.Completion
	stop scheduler.ID
}

func (p *instant) Submit(id scheduler.ID, _ string, op scheduler.Op) {
	if _, ok := op.(scheduler.Stop); ok {
		p.stop = id
		return
	}
	p.done = append(p.done, scheduler.Completion{ID: id})
}

func (p *instant) Cancel(id scheduler.ID) {
	p.done = append(p.done, scheduler.Completion{ID: id, Err: scheduler.ErrCanceled})
}

func (p *instant) Poll(time.Time) (time.Time, []scheduler.Completion) {
	p.now = p.now.Add(time.Microsecond)
	p.done, p.back = p.back[:0], p.done
	return p.now, p.back
}

func names(n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield("h" + strconv.Itoa(i)) {
				return
			}
		}
	}
}

// BenchmarkOp is one op from call to return: park, submit, poll, resume.
func BenchmarkOp(b *testing.B) {
	b.ReportAllocs()
	plan := scheduler.Plan{Hosts: names(1), Fanout: 1, Program: func(r *scheduler.Remote) (any, error) {
		for range b.N {
			if _, err := r.Connect(); err != nil {
				b.Error(err)
			}
		}
		return nil, nil
	}}
	if _, err := scheduler.Run(plan, &instant{now: worldEpoch}); err != nil {
		b.Error(err)
	}
}

// BenchmarkResume is parking and resuming a coroutine alone.
func BenchmarkResume(b *testing.B) {
	b.ReportAllocs()
	next, stop := iter.Pull(func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
			continue
		}
	})
	defer stop()
	for range b.N {
		next()
	}
}

// BenchmarkHosts is a run of many hosts, three ops each.
func BenchmarkHosts(b *testing.B) {
	for _, fanout := range []int{100, 1000, 10000} {
		b.Run("fanout="+strconv.Itoa(fanout), func(b *testing.B) {
			b.ReportAllocs()
			plan := scheduler.Plan{Hosts: names(b.N), Total: b.N, Fanout: fanout, Program: func(r *scheduler.Remote) (any, error) {
				if _, err := r.Connect(); err != nil {
					return nil, err
				}
				if _, err := r.Exec(scheduler.Exec{Command: "true"}, time.Minute); err != nil {
					return nil, err
				}
				return r.Exec(scheduler.Exec{Command: "true"}, time.Minute)
			}}
			if _, err := scheduler.Run(plan, &instant{now: worldEpoch}); err != nil {
				b.Error(err)
			}
		})
	}
}
