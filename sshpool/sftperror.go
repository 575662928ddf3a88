package sshpool

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"

	"github.com/pkg/sftp"
)

// quoteName shows a name of a file in an error: as it is where nothing in it
// could act on a terminal or hide its end.
func quoteName(name string) string {
	if q := excerpt([]byte(name)); len(q) != len(name)+2 || strings.ContainsAny(name, " :") || name == "" {
		return q
	}
	return name
}

// withName puts the name of a file in front of an error's cause.
func withName(e *Error, name string) *Error {
	e.Text = quoteName(name) + ": " + e.Text
	return e
}

func (s *SFTP) pathError(ctx context.Context, op, name string, err error) error {
	return pathError(ctx, s.link, op, name, err)
}

// pathError types what an operation on a file came to; io.EOF stays itself.
func pathError(ctx context.Context, l *sftpLink, op, name string, err error) error {
	e := &Error{Op: op, Kind: KindRemote, Stage: StageTransfer, Err: err}
	var typed *Error
	var ours *statusError
	var theirs *sftp.StatusError
	switch {
	case err == io.EOF && l.why() == nil:
		return err
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		e = canceledError(ctx, op, StageTransfer)
	case l.why() != nil:
		e.Kind, e.Text = KindProtocol, "sftp server ended"
		if errors.As(l.why(), &typed) {
			e.Kind, e.Text, e.Err = typed.Kind, typed.Text, l.why()
		} else if errors.Is(l.why(), ErrClosed) {
			e.Kind, e.Text, e.Err = KindCanceled, "sftp client closed", ErrClosed
		}
	case errors.As(err, &typed):
		e.Kind, e.Text = typed.Kind, typed.Text
	case errors.As(err, &ours):
		e.ofStatus(ours.code, ours.text)
	case errors.As(err, &theirs):
		e.ofStatus(theirs.Code, strings.TrimPrefix(theirs.Error(), "sftp: "))
	case errors.Is(err, fs.ErrNotExist):
		e.ofStatus(fxNoSuchFile, "")
	case errors.Is(err, fs.ErrPermission):
		e.ofStatus(fxPermission, "")
	case errors.Is(err, fs.ErrExist):
		e.Kind, e.Text = KindExists, "file exists"
	case errors.Is(err, errMalformed), errors.Is(err, errShort):
		e.Kind, e.Text = KindProtocol, err.Error()
	default:
		e.Text = excerpt([]byte(err.Error()))
	}
	if isBadMessage(err) && longName(name) { // OpenSSH says so of names that are too long
		e.Kind, e.Text = KindNameTooLong, "file name too long"
	}
	return withName(e, name)
}

func isBadMessage(err error) bool {
	var ours *statusError
	var theirs *sftp.StatusError
	return errors.As(err, &ours) && ours.code == fxBadMessage || errors.As(err, &theirs) && theirs.Code == fxBadMessage
}

// longName says that file systems have no such name: NAME_MAX and PATH_MAX of all
// that are in use.
func longName(name string) bool {
	const nameMax, pathMax = 255, 4096
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > nameMax {
			return true
		}
	}
	return len(name) >= pathMax
}

// ofStatus makes the cause that of a status (section 7). OpenSSH says failure
// for all that has no code of its own, among it a full disk.
func (e *Error) ofStatus(code uint32, text string) {
	switch code {
	case fxNoSuchFile:
		e.Kind, e.Text, e.Err = KindNotFound, "no such file or folder", fs.ErrNotExist
	case fxPermission:
		e.Kind, e.Text, e.Err = KindPermission, "permission denied", fs.ErrPermission
	case fxUnsupported:
		e.Kind, e.Text, e.Err = KindUnsupported, "the sftp server cannot do that", errors.ErrUnsupported
	case fxBadMessage:
		e.Kind, e.Text = KindRemote, "the sftp server calls the request malformed"
	default:
		e.Kind, e.Text = KindRemote, "refused by the host"
		if e.byWords(text) {
			return
		}
		if text != "" && text != "Failure" {
			e.Text += ": " + excerpt([]byte(text))
		}
	}
}
