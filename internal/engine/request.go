package engine

import (
	"context"
	"time"

	"fleet/inventory"
	"fleet/scheduler"
	"fleet/tasks"
)

// Request is what a run is asked to do, and how its hosts are reached.
type Request struct {
	Access
	// Kept, where not nil, has the connections, and stays with the caller; the
	// settings of Access then count for nothing but Log and Warn.
	Kept    *Kept
	Hosts   []*inventory.Host
	Command string
	// How says how Command is run; its own Command, Stdout and Stderr count for
	// nothing.
	How scheduler.Exec
	// Become is whom Command runs as; the Become of How counts for nothing.
	Become Become
	// Input, where not nil, is what Command reads on each host. It stays with the
	// caller.
	Input *Input
	// For, where not nil, changes for one host what is asked of it, as in
	// tasks.Command.
	For func(host *inventory.Host, e *scheduler.Exec) error
	// Work, where not nil, is done on each host in place of Command, which then
	// only says what the run is called.
	Work *Work

	Fanout    int               // hosts at once, at least 1
	Serial    []scheduler.Batch // nil: one batch
	MaxFail   scheduler.Budget  // zero: no budget
	Gate      Gate              // between batches; zero: nothing
	Retry     tasks.Retry       // of Command; Jitter and Told are the engine's
	Delay     time.Duration     // from the start of one host to that of the next
	Straggler scheduler.Straggler
	Timeout   time.Duration // per command, or of Work, 0: none
	Deadline  time.Duration // whole run, 0: none
	MaxOutput int64         // bytes shown of each stream of a host
	Keep      bool          // results carry the output, for a sink that shows it whole

	// Begun, where not nil, is called before a host's command is sent, from many
	// goroutines at once, and holds it back until it returns: a record makes sure
	// there that it durably knows of the host. The command is not sent after an
	// error.
	Begun func(ctx context.Context, host string) error

	// Stops asks the run to stop: the first value to start nothing more and
	// cancel what runs, the second to leave at once. May be nil.
	Stops <-chan struct{}
}
