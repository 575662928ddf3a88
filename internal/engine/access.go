package engine

import (
	"context"
	"log/slog"
	"time"

	"fleet/sshpool"
	"fleet/sshpool/sshconfig"
)

// Access says how hosts are reached and logged in to. Its settings stand above
// those of the hosts, and those above SSHConfig; its zero values leave them to
// both. User, Port, Jump and Password are for hosts and not for jump hosts; Keys
// are tried on jump hosts that have none of their own.
type Access struct {
	User           string
	Port           int
	Keys           []string      // private key files; where given, no others are tried
	Jump           []string      // jump hosts [user@]host[:port], the nearest to us first; "none" alone is none
	KnownHosts     []string      // known_hosts files
	HostKeys       string        // strict, accept-new, insecure-off; empty is SSHConfig's, else strict
	ConnectTimeout time.Duration // tcp to auth
	Agent          string        // socket of the ssh-agent, empty: none
	// Password and Passphrase get secrets, at most once each; nil: none is to
	// be had, for Password but from the inventory. They may be called while a run
	// is under way.
	Password   func(context.Context) (string, error)
	Passphrase func(ctx context.Context, file string) ([]byte, error)

	// Answers, Interactive and Touch are as in sshpool.Auth; Answers are not for
	// jump hosts.
	Answers     []sshpool.Answer
	Interactive func(ctx context.Context, host, name, instruction string, questions []sshpool.Question) ([]string, error)
	Touch       func(ctx context.Context, host, key string, n, total int)

	// SSHConfig is asked for each host by its name in the inventory, as if for
	// `ssh -o HostName=ADDRESS -p PORT -l USER NAME` with what the inventory and
	// this Access say. Nil is an empty one.
	SSHConfig *sshconfig.Config
	// MatchExec runs the command of a "Match exec" of SSHConfig and says whether
	// it succeeded; nil: none is run, and such blocks mean no host.
	MatchExec func(command string) (bool, error)

	// Stopped gives a channel that is closed when Reach is to end at once, with
	// ErrInterrupted: an agent may take its time. Nil: only its context ends it.
	Stopped func() <-chan struct{}

	Log *slog.Logger // nil: silent
	// HostLog is told of the hosts whose LogLevel in SSHConfig is DEBUG to
	// DEBUG3, where Log is nil; nil: such a level counts for nothing.
	HostLog *slog.Logger
	// Talkative has all warnings told, also those that come up for hosts whose
	// LogLevel in SSHConfig is below INFO, and for no other.
	Talkative bool
	// Warn is told, a line at a time, of what is wrong but ends nothing, such as
	// broken lines in a known_hosts file. May be nil.
	Warn func(text string)

	names    sshpool.Resolver  // says whether jump hosts exist; nil: the system's
	keyFiles *sshpool.KeyFiles // that were opened before; nil: none
}

func (a *Access) warn(err error) { a.tell(err.Error()) }

func (a *Access) tell(text string) {
	if a.Warn != nil {
		a.Warn(text)
	}
}
