package engine

import (
	"context"
	"log/slog"
	"time"
)

// Access says how hosts are reached and logged in to. Its settings stand above
// those of the hosts; its zero values leave them to the hosts.
type Access struct {
	User           string
	Port           int
	Keys           []string      // private key files; where given, no others are tried
	KnownHosts     []string      // known_hosts files
	HostKeys       string        // strict, accept-new, insecure-off; empty is strict
	ConnectTimeout time.Duration // tcp to auth
	Agent          string        // socket of the ssh-agent, empty: none
	// Password and Passphrase get secrets, at most once each; nil: none is to
	// be had. They may be called while a run is under way.
	Password   func(context.Context) (string, error)
	Passphrase func(ctx context.Context, file string) ([]byte, error)

	Log *slog.Logger // nil: silent
	// Warn is told, a line at a time, of what is wrong but ends nothing, such as
	// broken lines in a known_hosts file. May be nil.
	Warn func(text string)
}

func (a *Access) warn(err error) {
	if a.Warn != nil {
		a.Warn(err.Error())
	}
}
