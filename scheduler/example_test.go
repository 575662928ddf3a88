package scheduler_test

import (
	"fmt"
	"time"

	"fleet/internal/sim"
	"fleet/scheduler"
)

// A program is written as if there were one host. Here the hosts are simulated;
// over SSH the poller is another and the rest is the same.
func Example() {
	world := sim.NewWorld(sim.Options{Seed: 1, Calm: true, Tick: time.Second})
	report, err := scheduler.Run(scheduler.Plan{
		Hosts: func(yield func(string) bool) { _ = yield("web01") && yield("web02") && yield("web03") },
		Total: 3,
		Program: func(r *scheduler.Remote) (any, error) {
			if _, err := r.Connect(); err != nil {
				return nil, err
			}
			command := "true"
			if r.Host() == "web02" {
				command = "exit 3"
			}
			res, err := r.Exec(scheduler.Exec{Command: command}, time.Minute)
			if err == nil && res.ExitCode != 0 {
				err = &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{
					Kind: scheduler.KindExit, Stage: scheduler.StageCommand, Text: fmt.Sprintf("exit status %d", res.ExitCode)}}
			}
			return res, err
		},
		Fanout: 1,
		Observe: func(e scheduler.Event) {
			if e.Kind == scheduler.HostDone {
				fmt.Println(e.Host, e.Outcome)
			}
		},
	}, world)
	fmt.Println(report.Counts, err)
	// Output:
	// web01 ok
	// web02 failed
	// web03 ok
	// map[failed:1 ok:2] <nil>
}
