package scheduler

import "errors"

// Outcome is what became of one host in one run: exactly one of these.
type Outcome string

const (
	OK          Outcome = "ok"          // the program ended without error
	Failed      Outcome = "failed"      // the command ran and ended badly
	Unreachable Outcome = "unreachable" // no command was sent
	Lost        Outcome = "lost"        // the connection went after a command was sent; it may have run
	Canceled    Outcome = "canceled"    // started, then stopped by the user or a deadline
	Skipped     Outcome = "skipped"     // never started
)

// Outcomes lists all outcomes in the order in which summaries show them.
var Outcomes = []Outcome{OK, Failed, Unreachable, Lost, Canceled, Skipped}

// Kind is the typed cause of a host's outcome, apart from any text.
type Kind string

const (
	KindDNS            Kind = "dns"
	KindRefused        Kind = "refused"
	KindNoRoute        Kind = "no_route"
	KindTimeout        Kind = "timeout" // with a Stage
	KindThrottled      Kind = "throttled"
	KindKexMismatch    Kind = "kex_mismatch"
	KindHostKeyUnknown Kind = "hostkey_unknown"
	KindHostKeyChanged Kind = "hostkey_changed"
	KindHostKeyRevoked Kind = "hostkey_revoked"
	KindAuth           Kind = "auth"
	KindSessionLimit   Kind = "session_limit"
	KindConnLost       Kind = "conn_lost"
	KindNoStatus       Kind = "no_status" // channel closed without an exit status, connection alive
	KindExit           Kind = "exit"      // exit status other than 0
	KindSignal         Kind = "signal"    // ended by a signal
	KindBecomePassword Kind = "become_password"
	KindBecomeDenied   Kind = "become_denied"
	KindRemoteNoSpace  Kind = "remote_nospace"
	KindPermission     Kind = "permission"
	KindProtocol       Kind = "protocol" // the peer broke the SSH protocol or is no SSH server
	KindCanceled       Kind = "canceled"
	KindInternal       Kind = "internal" // a fault of fleet itself

	// Of files that are moved, in StageTransfer, where KindPermission is of the
	// file too; their meanings are those of package sshpool.
	KindNotFound    Kind = "not_found"
	KindExists      Kind = "exists"
	KindQuota       Kind = "quota"
	KindReadOnly    Kind = "read_only"
	KindNameTooLong Kind = "name_too_long"
	KindIsFolder    Kind = "is_folder"
	KindNotFolder   Kind = "not_folder"
	KindUnsupported Kind = "unsupported"
	KindRemote      Kind = "remote"
	KindMismatch    Kind = "mismatch"
	KindChanged     Kind = "changed"
	KindTooLarge    Kind = "too_large"
	KindLocal       Kind = "local"
	KindNoShell     Kind = "no_shell"   // no POSIX shell there, or a tool is missing
	KindConflict    Kind = "conflict"   // something of another kind is in the way
	KindUnsafe      Kind = "unsafe"     // what the host offers is refused
	KindMaxDelete   Kind = "max_delete" // more would be deleted than is allowed
)

// Stage says where in a host's work something happened.
type Stage string

const (
	StageDNS     Stage = "dns"
	StageTCP     Stage = "tcp"
	StageBanner  Stage = "banner"
	StageKex     Stage = "kex"
	StageAuth    Stage = "auth"
	StageChannel Stage = "channel"
	StageBecome  Stage = "become"
	StageCommand Stage = "command"
	// StageTransfer is in StageCommand's place where a file is moved.
	StageTransfer Stage = "transfer"
	StageHost     Stage = "host" // the whole of a host's program
	StageRun      Stage = "run"  // the whole run
)

// Cause says why a host has its outcome. Text never holds the host's name, so
// that equal causes fold over hosts. Text may hold bytes from the remote side
// and must be made safe before a terminal shows it.
type Cause struct {
	Kind  Kind   `json:"kind"`
	Stage Stage  `json:"stage,omitempty"`
	Text  string `json:"text"`
}

// Error is an error that knows the outcome it means for its host.
type Error struct {
	Outcome Outcome
	Cause   Cause
	Err     error // what it wraps, or nil
}

func (e *Error) Error() string { return e.Cause.Text }

// Unwrap gives the wrapped error.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// ErrCanceled is what ops return after the run, or their host, was cancelled.
var ErrCanceled = errors.New("canceled")
