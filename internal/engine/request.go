package engine

import (
	"context"
	"log/slog"
	"time"

	"fleet/inventory"
	"fleet/scheduler"
)

// Request is what a run is asked to do. Connection settings here stand above
// those of the hosts; their zero values leave them to the hosts.
type Request struct {
	Hosts   []*inventory.Host
	Command string

	Fanout    int               // hosts at once, at least 1
	Serial    []scheduler.Batch // nil: one batch
	MaxFail   scheduler.Budget  // zero: no budget
	Timeout   time.Duration     // per command, 0: none
	Deadline  time.Duration     // whole run, 0: none
	MaxOutput int64             // bytes shown of each stream of a host
	Keep      bool              // results carry the output, for a sink that shows it whole

	User           string
	Port           int
	Keys           []string      // private key files; where given, no others are tried
	KnownHosts     []string      // known_hosts files
	HostKeys       string        // strict, accept-new, insecure-off; empty is strict
	ConnectTimeout time.Duration // tcp to auth
	Agent          string        // socket of the ssh-agent, empty: none
	// Password and Passphrase get secrets, at most once each; nil: none is to
	// be had. They may be called while the run is under way.
	Password   func(context.Context) (string, error)
	Passphrase func(ctx context.Context, file string) ([]byte, error)

	// Stops asks the run to stop: the first value to start nothing more and
	// cancel what runs, the second to leave at once. May be nil.
	Stops <-chan struct{}
	Log   *slog.Logger // nil: silent
	// Warn is told, a line at a time, of what is wrong but ends nothing, such as
	// broken lines in a known_hosts file. May be nil.
	Warn func(text string)
}

func (r *Request) warn(err error) {
	if r.Warn != nil {
		r.Warn(err.Error())
	}
}
