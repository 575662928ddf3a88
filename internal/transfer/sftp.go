package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"fleet/scheduler"
	"fleet/sshpool"
)

// A host that runs no commands, or has no tar, but has SFTP is looked at, read
// and written by that: much at once, as each request is a round trip.

// atOnce is how many files of one host are dealt with at the same time.
const atOnce = 64

// each does f for 0 to n-1, many at once. The first error ends it.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	g, inside := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		if inside.Err() != nil {
			break
		}
		g.Go(func() error { return f(inside, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return over(ctx)
}

// over is the error of a context that has ended; nil if it has not.
func over(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	e := &sshpool.Error{Op: "transfer", Kind: sshpool.KindCanceled, Stage: sshpool.StageTransfer, Err: context.Cause(ctx), Text: "canceled in transfer"}
	if errors.Is(e.Err, context.DeadlineExceeded) {
		e.Kind, e.Text = sshpool.KindTimeout, "timeout in transfer"
	}
	return e
}

// bySFTP begins with SFTP, where the host has it. It is not for another user than
// the one who logged in.
func (f *far) bySFTP(ctx context.Context) bool {
	if f.become != nil {
		return false
	}
	s, err := f.conn.SFTP(ctx)
	if err != nil {
		return false
	}
	f.sftp, f.ids = s, &accounts{sftp: s}
	return true
}

// close ends what was begun for the host.
func (f *far) close() {
	if f.sftp != nil {
		f.sftp.Close()
	}
}

// offers says that the SFTP server has an extension.
func (f *far) offers(extension string) bool {
	_, ok := f.sftp.Offers(extension)
	return ok
}

// wait keeps to the rates.
func (f *far) wait(ctx context.Context, n int) error {
	for _, r := range f.rates {
		if err := r.Wait(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// inFolder is a name of an entry below a folder, as SFTP wants it. It is not
// cleaned: what a host calls its files is judged elsewhere.
func inFolder(folder, name string) string {
	switch {
	case name == ".":
		return folder
	case folder == "/":
		return "/" + name
	}
	return folder + "/" + name
}

// accounts knows users and groups of a host without a shell: SFTP tells and
// takes numbers only, the names stand in files. What cannot be read is not known.
type accounts struct {
	sftp          *sshpool.SFTP
	once          sync.Once
	users, groups idNames
}

// idNames are the names of numbers, and the numbers of names.
type idNames struct {
	byID   map[uint32]string
	byName map[string]uint32
}

// maxAccounts is how much of a file of accounts is read.
const maxAccounts = 8 << 20

func (a *accounts) load(ctx context.Context) {
	a.once.Do(func() {
		a.users, a.groups = a.read(ctx, "/etc/passwd"), a.read(ctx, "/etc/group")
	})
}

// read reads lines of "name:password:number:…" (passwd(5), group(5)).
func (a *accounts) read(ctx context.Context, file string) idNames {
	names := idNames{map[uint32]string{}, map[string]uint32{}}
	f, err := a.sftp.Open(ctx, file)
	if err != nil {
		return names
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAccounts))
	if err != nil {
		return names
	}
	for line := range strings.Lines(string(text)) {
		w := strings.SplitN(strings.TrimSpace(line), ":", 4)
		if len(w) < 3 || w[0] == "" {
			continue
		}
		id, err := strconv.ParseUint(w[2], 10, 32)
		if err != nil {
			continue
		}
		if _, twice := names.byID[uint32(id)]; !twice {
			names.byID[uint32(id)] = w[0]
		}
		names.byName[w[0]] = uint32(id)
	}
	return names
}

// name is the name of a number, or the number where it has none.
func (n *idNames) name(id uint32) string {
	if name, ok := n.byID[id]; ok {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

// id is the number of a name, or of what is one itself.
func (n *idNames) id(name string) (uint32, bool) {
	if id, ok := n.byName[name]; ok {
		return id, true
	}
	id, err := strconv.ParseUint(name, 10, 32)
	return uint32(id), err == nil
}

// numbers are those of an owner and a group; what is empty stays as it is.
func (f *far) numbers(ctx context.Context, owner, group string) (uid, gid *int, err error) {
	if owner == "" && group == "" {
		return nil, nil, nil
	}
	f.ids.load(ctx)
	number := func(names *idNames, name, what string) (*int, error) {
		id := ^uint32(0) // chown(2) leaves that
		if name != "" {
			var ok bool
			if id, ok = names.id(name); !ok {
				return nil, &Failure{Kind: scheduler.KindNotFound,
					Text: fmt.Sprintf("set owner: %s: no such %s that SFTP tells of: give its number", quoted([]byte(name)), what)}
			}
		}
		n := int(id)
		return &n, nil
	}
	if uid, err = number(&f.ids.users, owner, "user"); err != nil {
		return nil, nil, err
	}
	gid, err = number(&f.ids.groups, group, "group")
	return uid, gid, err
}

// fileFailure is what an SFTP operation came to while doing what, in words about
// the name of the entry; ours is what stands before that in names of the stage.
// Of a server that says no more than that it failed, the file system is asked.
func (f *far) fileFailure(ctx context.Context, what, folder, ours string, size int64, err error) error {
	var e *sshpool.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case sshpool.KindConnLost, sshpool.KindCanceled, sshpool.KindTimeout, sshpool.KindSessionLimit, sshpool.KindProtocol:
		return err
	}
	kind, text := e.Kind, e.Text
	if ours != "" { // which is below the folder
		text = strings.Replace(text, ours, strings.TrimSuffix(folder, "/")+"/", 1)
	}
	if kind == sshpool.KindRemote {
		if k, why := f.fileSystem(ctx, folder, size); k != "" {
			kind = k
			if i := strings.LastIndex(text, ": refused by the host"); i >= 0 {
				text = text[:i]
			}
			text += ": " + why
		}
	}
	return &Failure{Kind: conflictOr(scheduler.Kind(kind)), Text: what + ": " + text, Err: err}
}

// conflictOr gives what stands in a file's way the name that it has where a
// shell finds it.
func conflictOr(k scheduler.Kind) scheduler.Kind {
	switch sshpool.Kind(k) {
	case sshpool.KindIsFolder, sshpool.KindNotFolder:
		return scheduler.KindConflict
	}
	return k
}

// fileSystem says what is wrong with the file system of a folder, if anything is.
func (f *far) fileSystem(ctx context.Context, folder string, size int64) (sshpool.Kind, string) {
	v, err := f.sftp.StatVFS(ctx, folder)
	for err != nil && errors.Is(err, fs.ErrNotExist) && folder != "/" && folder != "." {
		folder = path.Dir(folder)
		v, err = f.sftp.StatVFS(ctx, folder)
	}
	switch {
	case err != nil:
		return "", ""
	case v.ReadOnly:
		return sshpool.KindReadOnly, "read-only file system"
	case int64(v.Avail) < max(size, 1):
		return sshpool.KindNoSpace, "no space left on device"
	case v.Files > 0 && v.FreeFiles == 0:
		return sshpool.KindNoSpace, "no inodes left on device"
	}
	return "", ""
}
