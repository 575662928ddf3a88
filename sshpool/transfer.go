package sshpool

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"time"
)

// Files moves whole files to a host and from it, by the best way that the host
// has. Methods may be called at once from many goroutines.
type Files struct {
	conn *Conn
	sftp *SFTP // nil by WayStream

	noShell atomic.Bool            // the host runs no commands that hash or try
	uid     atomic.Pointer[uint32] // whose files are those that are made there
}

// Files prepares for moving files: by SFTP, or where the host has none of it in
// any way, or answers it with a shell's noise, by cat and a shell's other tools,
// which take the output of a noisy shell only where that is none of a command's.
// What it gives is the caller's to close. c's Limits.Channel bounds each of the
// steps. Errors are as of SFTP.
func (c *Conn) Files(ctx context.Context) (*Files, error) {
	s, err := c.SFTP(ctx)
	if err == nil {
		return &Files{conn: c, sftp: s}, nil
	}
	var e *Error
	if ctx.Err() != nil || !c.usable() || !errors.As(err, &e) || e.Kind != KindPermission && e.Kind != KindProtocol {
		return nil, err // a host that is slow to answer is not one without SFTP
	}
	return c.filesByStream(ctx, err)
}

// filesByStream is Files without SFTP, whose absence is err.
func (c *Conn) filesByStream(ctx context.Context, why error) (*Files, error) {
	f := &Files{conn: c}
	ctx, cancel := withLimit(ctx, c.limits.Channel, opSFTP, StageChannel)
	defer cancel()
	out, err := f.shell(ctx, nil, nil, "echo fleet-stream")
	if err != nil || out != "fleet-stream\n" {
		return nil, why
	}
	return f, nil
}

// Way tells how files get to the host.
func (f *Files) Way() Way {
	if f.sftp == nil {
		return WayStream
	}
	return f.sftp.way
}

// SFTP is the client below, closed with f; nil by WayStream.
func (f *Files) SFTP() *SFTP { return f.sftp }

// Close ends what was begun for f. It does not wait for the host.
func (f *Files) Close() error {
	if f.sftp != nil {
		return f.sftp.Close()
	}
	return nil
}

// Verify says how a file is compared after it was moved.
type Verify string

// The ways to compare. In all of them the size is.
const (
	// VerifyHash compares SHA-256: the host reads its side by itself where it
	// has sha256sum, shasum or openssl, else it is read back.
	VerifyHash Verify = ""
	VerifyRead Verify = "read back" // read back over the connection
	VerifyOff  Verify = "off"
)

// PutOptions says how a file is put on a host. The zero value: permissions of
// the source, owner as it comes, no times, verified, an interrupted put resumed.
type PutOptions struct {
	// Mode is what the file's permissions are in the end, whatever the host's
	// umask; nil: those of the source, or of the file that is replaced where the
	// source has none, or 0644. Until the end nobody but the owner can read it.
	Mode *fs.FileMode
	// UID and GID, where not nil, are the owner and the group in the end.
	UID, GID *int
	// ModTime is the time of last change, to the second; zero: now.
	ModTime time.Time
	// Backup, where not empty, is the name that a replaced file gets, beside the
	// file where there is no slash in it. What had that name is replaced.
	Backup string
	// NoReplace fails with KindExists where the file exists.
	NoReplace bool
	// NoResume begins anew where an interrupted put left something.
	NoResume bool
	// NoSync leaves out fsync.
	NoSync bool
	Verify Verify
	// Progress is called with the bytes that have got to the host since the last
	// call, resumed ones among them, from one goroutine at a time.
	Progress func(n int64)
	// Rates bound how fast is sent; all of them hold.
	Rates []*Rate
	// Stage, where not empty, is a folder on the host where the file is put
	// together instead of beside its final place, and Move then moves it there:
	// it is called with the names when the file is complete and verified, in
	// place of the change of owner and mode and the rename. So a user who may not
	// write to the final place can put it there as another. What Move
	// leaves in Stage is removed.
	Stage string
	Move  func(ctx context.Context, staged, name string) error
	// Fill, where not nil, brings the content to the host in place of Put: as a file
	// of that name, which does not exist yet and has mode 0600 when Fill returns. It
	// is always compared with the source. Nothing is resumed, and Progress and
	// Rates are Fill's to heed. A host without SFTP is KindUnsupported.
	Fill func(ctx context.Context, temp string) error
}

// GetOptions says how a file is fetched. The zero value: permissions of the
// file on the host without setuid, setgid and sticky, no times, verified.
type GetOptions struct {
	Mode      *fs.FileMode // permissions in the end; nil: those of the host's file
	Times     bool         // keep the time of last change
	NoReplace bool
	NoResume  bool
	NoSync    bool
	Verify    Verify
	Progress  func(n int64)
	Rates     []*Rate
	MaxBytes  int64 // where not 0: a longer file is KindTooLarge
}

// Transfer is what a Put or Get did.
type Transfer struct {
	Size     int64 // bytes of the file
	Sent     int64 // bytes of it that went over the connection for it, not counting those read back
	Resumed  int64 // bytes that an interrupted transfer had left and that were right
	SHA256   [sha256.Size]byte
	Verified string // "sha256sum", "shasum", "openssl", "read back"; empty: the size only
	Way      Way
	Atomic   bool // others saw the old file or the new one, at any moment
	Synced   bool // the host has it on its disk
	Replaced bool // there was a file before
	Grew     bool // of a Get: the file on the host had grown by the end; what is here is what it began with
	Took     time.Duration
}

var errNotRegular = errors.New("not a regular file")

// Put puts a file on the host: under a temporary name beside its final place,
// which only the user can read, then checked, given its owner and permissions,
// and renamed over what was there. So the file is the old one or the new one,
// whole. Where Put fails the old one is untouched and the temporary file
// removed, but for a lost connection: the next Put of the same source goes on
// from there.
//
// Errors are of type *Error with Op "put".
func (f *Files) Put(ctx context.Context, src *Source, name string, o PutOptions) (Transfer, error) {
	return f.put(ctx, src, name, o)
}

// Get fetches a file from the host to name in the folder dir, which nothing in
// name or in links can lead out of: under a temporary name that only the user
// can read, then checked, given its permissions, and renamed over what was
// there. Where Get fails what was there is untouched; a lost connection leaves
// the temporary file for the next Get of the same file to go on from.
//
// Errors are of type *Error with Op "get"; KindLocal is the trouble of this side.
func (f *Files) Get(ctx context.Context, remote string, dir *os.Root, name string, o GetOptions) (Transfer, error) {
	return f.get(ctx, remote, dir, name, o)
}

// SHA256 hashes a file on the host, by the host itself where it has a tool for
// it, else by reading it; by tells what did it, as Transfer.Verified does.
func (f *Files) SHA256(ctx context.Context, name string) (sum [sha256.Size]byte, by string, err error) {
	if f.sftp == nil {
		sum, by, err = f.hashThere(ctx, name, 0, true, nil)
		if errors.Is(err, errNoHash) {
			h := sha256.New()
			if _, err = f.shell(ctx, nil, h, `exec cat <%s`, shellName(name)); err == nil {
				return [sha256.Size]byte(h.Sum(nil)), string(VerifyRead), nil
			}
		}
		return sum, by, transferError("hash", name, streamName(err, name))
	}
	fi, err := f.sftp.Stat(ctx, name)
	if err == nil {
		sum, by, err = f.hashOf(ctx, name, fi.Size(), true, VerifyHash, nil)
	}
	return sum, by, transferError("hash", name, err)
}
