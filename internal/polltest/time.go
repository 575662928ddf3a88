package polltest

import (
	"context"
	"time"

	"fleet/scheduler"
)

// occupy has two ops in flight that do not end by themselves.
func (d *driver) occupy() {
	d.submit("", scheduler.Stop{})
	d.submit(d.Host, scheduler.Exec{Command: "sleep 1000"})
}

func checkPast(d *driver) {
	d.occupy()
	from := time.Now()
	began := d.now
	for _, until := range []time.Time{past, d.now.Add(-time.Hour), d.now.Add(-1)} {
		if n := d.poll(until); n > 0 {
			d.t.Errorf("%d completions of ops that do not end", n)
		}
	}
	// On a busy machine a Poll that does not wait may still take a while.
	if took := time.Since(from); took > 5*time.Second {
		d.t.Errorf("polls that must not wait took %v", took)
	}
	if passed := d.now.Sub(began); passed > 5*time.Second {
		d.t.Errorf("%v passed in polls that must not wait", passed)
	}
}

func checkUntil(d *driver) {
	d.occupy()
	for _, wait := range []time.Duration{time.Microsecond, 5 * time.Millisecond, 300 * time.Millisecond} {
		until := d.now.Add(wait)
		if n := d.poll(until); n > 0 {
			d.t.Errorf("%d completions of ops that do not end", n)
		}
		if late := d.now.Sub(until); late > 5*time.Second {
			d.t.Errorf("poll came back %v late", late)
		}
	}
}

func checkZeroUntil(d *driver) {
	d.occupy()
	id := d.submit(d.Host, scheduler.Exec{Command: "true"})
	for {
		d.poll(time.Time{})
		if c, ok := d.done[id]; ok {
			d.exited(c, 0)
			break
		}
	}
	// A completion that is ready does not wait for until.
	began := d.now
	d.submit(d.Host, scheduler.Do{F: func(context.Context) error { return nil }})
	if d.poll(d.now.Add(time.Hour)) != 1 || d.now.Sub(began) > time.Minute {
		d.t.Errorf("poll with a completion ready came back after %v", d.now.Sub(began))
	}
}
