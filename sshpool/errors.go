package sshpool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Kind is the typed cause of an Error. Its values are those that the scheduler
// and the machine-readable output use.
type Kind string

// The kinds of error that this package gives.
const (
	KindDNS            Kind = "dns"
	KindRefused        Kind = "refused"  // connection refused, or reset before the version line
	KindNoRoute        Kind = "no_route" //
	KindTimeout        Kind = "timeout"  // with a Stage
	KindThrottled      Kind = "throttled"
	KindKexMismatch    Kind = "kex_mismatch"
	KindHostKeyUnknown Kind = "hostkey_unknown"
	KindHostKeyChanged Kind = "hostkey_changed"
	KindHostKeyRevoked Kind = "hostkey_revoked"
	KindAuth           Kind = "auth"
	KindSessionLimit   Kind = "session_limit"
	KindConnLost       Kind = "conn_lost"
	KindNoStatus       Kind = "no_status" // channel closed without an exit status, connection alive
	KindPermission     Kind = "permission"
	KindBecomePassword Kind = "become_password" // the password for another user is wrong
	KindBecomeDenied   Kind = "become_denied"   // another user could not be become for another reason
	KindNoShell        Kind = "no_shell"        // no POSIX shell there began the command
	KindProtocol       Kind = "protocol"        // the peer broke the protocol or is no SSH server
	KindCanceled       Kind = "canceled"
	KindInternal       Kind = "internal" // a fault on our side

	// Of files, all in StageTransfer, where KindPermission is of the file.
	KindNotFound    Kind = "not_found"      // no such file or folder
	KindExists      Kind = "exists"         // there is a file where none may be
	KindNoSpace     Kind = "remote_nospace" // the host's disk is full, or has no inodes left
	KindQuota       Kind = "quota"          // the user's share of the host's disk is used up
	KindReadOnly    Kind = "read_only"      // the file system on the host takes no changes
	KindNameTooLong Kind = "name_too_long"
	KindIsFolder    Kind = "is_folder"   // a folder, where a file is wanted
	KindNotFolder   Kind = "not_folder"  // a file, where a folder is wanted
	KindUnsupported Kind = "unsupported" // the host's server cannot do that
	KindRemote      Kind = "remote"      // the host says only that it did not work
	KindMismatch    Kind = "mismatch"    // what arrived is not what was sent
	KindChanged     Kind = "changed"     // the source changed while it was read
	KindTooLarge    Kind = "too_large"   // longer than allowed
	KindLocal       Kind = "local"       // a file on this side could not be read or written
)

// Stage says where in a connection's life an error happened.
type Stage string

// The stages of a connection, in order.
const (
	StageDNS     Stage = "dns"
	StageTCP     Stage = "tcp"
	StageBanner  Stage = "banner"
	StageKex     Stage = "kex"
	StageAuth    Stage = "auth"
	StageChannel Stage = "channel"
	StageBecome  Stage = "become"
	StageCommand Stage = "command"
	// StageTransfer is in StageCommand's place where files are moved.
	StageTransfer Stage = "transfer"
)

// What was being done, for an Error's Op.
const (
	opDial = "dial"
	opExec = "exec"
)

// Error is what every function of this package that talks to a host returns.
// Test for it with errors.As.
type Error struct {
	// Op is "dial", "exec", "forward", "listen", "request", "sftp", "put", "get"
	// or what was done to a file: "open", "stat", "rename".
	Op    string
	Kind  Kind
	Stage Stage
	// Text is the cause for people, without the host's name or address, so
	// that hosts with the same trouble have the same text. It may quote up to
	// 200 bytes that the peer sent; those are escaped.
	Text string
	Err  error // what caused it, or nil
	// Sent says that the command had been handed to the connection: it may
	// have run.
	Sent bool
	// Attempts is how many connections were tried; set by Pool.
	Attempts int

	after   time.Time // of a throttled attempt: when the next may come
	untried bool      // of a login: none was tried
	below   bool      // it is of what carries the connection, which Text names
	hop     bool      // of a jump host
	facts   *Facts    // of a dial; see DialFacts
}

func (e *Error) Error() string {
	if e.Op == "" {
		return e.Text
	}
	return e.Op + ": " + e.Text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout tells whether a limit was reached; see net.Error.
func (e *Error) Timeout() bool { return e.Kind == KindTimeout }

// ErrClosed is the cause where a connection or pool was closed by its owner.
var ErrClosed = errors.New("closed")

// panicError is a panic of code that was given to us, or of our own.
func panicError(op string, stage Stage, v any) *Error {
	return &Error{Op: op, Kind: KindInternal, Stage: stage, Text: fmt.Sprintf("panic: %v", v)}
}

// timeoutError is the error of a limit that was reached in a stage.
func timeoutError(op string, stage Stage, limit time.Duration) *Error {
	return &Error{Op: op, Kind: KindTimeout, Stage: stage, Err: os.ErrDeadlineExceeded,
		Text: fmt.Sprintf("timeout in %s after %v", stage, limit)}
}

// canceledError is the error of a call whose context ended.
func canceledError(ctx context.Context, op string, stage Stage) *Error {
	cause := context.Cause(ctx)
	var limit *Error
	if errors.As(cause, &limit) && limit.Kind == KindTimeout { // see withLimit
		e := *limit
		return &e
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return &Error{Op: op, Kind: KindTimeout, Stage: stage, Err: cause, Text: "timeout in " + string(stage)}
	}
	return &Error{Op: op, Kind: KindCanceled, Stage: stage, Err: cause, Text: "canceled in " + string(stage)}
}

// networkError types an error of the network below SSH. Before login it is the
// reason why there is no connection; text tells in which stage it came.
func networkError(op string, stage Stage, err error) *Error {
	e := &Error{Op: op, Kind: KindConnLost, Stage: stage, Err: err}
	var errno syscall.Errno
	var timeout interface{ Timeout() bool }
	var typed *Error
	switch {
	case errors.As(err, &typed): // of a jump host or a proxy command
		e.Kind, e.Text, e.below, e.hop, e.untried = typed.Kind, typed.Text, typed.below, typed.hop, typed.untried
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Kind, e.Text = KindRefused, "connection refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EHOSTDOWN):
		e.Kind, e.Text = KindNoRoute, "no route to host"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.ENETDOWN):
		e.Kind, e.Text = KindNoRoute, "network unreachable"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.Text = "connection reset in " + string(stage)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		e.Text = "connection closed in " + string(stage)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		e.Kind, e.Text = KindInternal, "too many open files"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Kind, e.Text = KindInternal, "no local port left"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Kind, e.Text = KindNoRoute, "connection not permitted here"
	case errors.As(err, &timeout) && timeout.Timeout():
		e.Kind, e.Text = KindTimeout, "timeout in "+string(stage)
	case errors.As(err, &errno):
		e.Text = errno.Error()
	default:
		e.Text = excerpt([]byte(err.Error()))
	}
	return e
}

// maxExcerpt bounds what an error text shows of a peer's bytes.
const maxExcerpt = 200

// excerpt quotes the first bytes that a peer sent, with all that a terminal
// could act on escaped.
func excerpt(b []byte) string {
	cut := len(b) > maxExcerpt
	if cut {
		b = b[:maxExcerpt]
	}
	q := strconv.QuoteToASCII(string(b))
	if cut {
		q += "..."
	}
	return q
}
