package sim

import (
	"context"
	"errors"
	"strconv"
	"time"

	"fleet/scheduler"
)

// Gate is what stands between the batches of a run.
type Gate int

const (
	Open     Gate = iota // nothing
	Judging              // something beside the loop, which may say no
	Asking               // a connection to GateHost and a command there
	Pausing              // a sleep, then something beside the loop
	Dragging             // waits beside the loop until its limit
	gates
)

// GateHost is the host that an Asking gate asks. It is none of the run's.
const GateHost = "gate"

// refuses says that a gate says no after a batch, if it is asked.
func (o Options) refuses(batch int) bool {
	return o.dice(GateHost, uint64(16+batch%64))%5 == 0
}

// pause is how long a Pausing gate sleeps after a batch.
func (o Options) pause(batch int) time.Duration {
	return time.Duration(o.dice(GateHost, uint64(128+batch%64))%5000) * time.Millisecond
}

var errRefused = errors.New("the gate says no")

// plan puts the gate into a plan.
func (g Gate) plan(p *scheduler.Plan, o Options) {
	if g == Open {
		return
	}
	if g == Asking {
		p.GateHost = GateHost
	}
	p.Gate = func(r *scheduler.Remote) (any, error) {
		switch g {
		case Asking:
			if _, err := r.Connect(); err != nil {
				return nil, err
			}
			command := "true"
			if o.refuses(r.Batch()) {
				command = "exit 1"
			}
			return nil, execute(r, command, o.OpLimit)
		case Pausing:
			if err := r.Sleep(o.pause(r.Batch())); err != nil {
				return nil, err
			}
		case Dragging:
			return strconv.Itoa(r.Batch()), r.Do(Block, 3*time.Second)
		}
		return nil, r.Do(func(context.Context) error {
			if o.refuses(r.Batch()) {
				return errRefused
			}
			return nil
		}, 0)
	}
}
