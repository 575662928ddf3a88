package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"fleet/scheduler"
	"fleet/sshpool"
)

// sftpPut puts what is to be sent in a stage of its own, as putScript does, and
// then all in its place.
type sftpPut struct {
	d     *pushing
	count *counter
	stage string
	room  *semaphore.Weighted // for content in memory

	mu     sync.Mutex
	inTree map[string]bool // files that were sent, by their names
	own    time.Time       // what the folder's own time is to be, once the stage is gone
}

// maxContent bounds how much content of files for one host is in memory.
const maxContent = 2 << 20

// streamBySFTP is stream by SFTP.
func (d *pushing) streamBySFTP(ctx context.Context, count *counter) error {
	base := d.plan.base
	if mode, wanted := d.madeWith(); wanted {
		err := d.far.sftp.MkdirAll(ctx, path.Dir(base), 0o755)
		if err == nil {
			err = d.far.sftp.MkdirAll(ctx, base, *modeOf(mode))
		}
		if err != nil {
			return d.far.fileFailure(ctx, stages["mkdir"], path.Dir(base), "", 0, err)
		}
	}
	st, err := d.far.newStage(ctx, base)
	if f, ok := d.far.fileFailure(ctx, stages["stage"], base, "", 0, err).(*Failure); ok {
		return &Failure{Kind: f.Kind, Text: whole(base, "") + noStage + f.Text[strings.LastIndex(f.Text, ": "):], Err: err}
	}
	if err != nil {
		return err
	}
	p := &sftpPut{d: d, count: count, stage: st.name, room: semaphore.NewWeighted(maxContent), inTree: map[string]bool{}}
	if err = p.fill(ctx); err == nil {
		err = p.apply(ctx)
	}
	st.close(ctx, err)
	if err == nil && !p.own.IsZero() {
		err = p.failed(ctx, "time", 0, d.far.sftp.Chtimes(ctx, base, p.own, p.own))
	}
	return err
}

// failed says what an operation on an entry came to.
func (p *sftpPut) failed(ctx context.Context, stage string, size int64, err error) error {
	return p.d.far.fileFailure(ctx, stages[stage], p.d.plan.base, p.stage+"/t/", size, err)
}

func (p *sftpPut) staged(name string) string { return p.stage + "/t/" + name }

// fill makes all that is sent in the stage: folders, then what is in them, then
// further names of files.
func (p *sftpPut) fill(ctx context.Context) error {
	if err := p.folders(ctx); err != nil {
		return err
	}
	var files, names []*change
	for _, ch := range p.d.plan.changes {
		switch {
		case !ch.send || ch.Kind == Folder:
		case ch.Same != "" && p.links():
			names = append(names, ch)
		default:
			files = append(files, ch)
		}
	}
	err := each(ctx, len(files), func(ctx context.Context, i int) error { return p.file(ctx, files[i]) })
	if err != nil {
		return err
	}
	err = each(ctx, len(names), func(ctx context.Context, i int) error { return p.name(ctx, names[i]) })
	if err != nil {
		return err
	}
	return p.folderModes(ctx)
}

// links says that the host gives files further names.
func (p *sftpPut) links() bool { return p.d.far.offers("hardlink@openssh.com") }

// folders makes the folders of the stage, level by level.
func (p *sftpPut) folders(ctx context.Context) error {
	need := map[string]bool{".": true}
	for _, ch := range p.d.plan.changes {
		if !ch.send || ch.Path == "." {
			continue
		}
		if ch.Kind == Folder {
			need[ch.Path] = true
		}
		for dir := parent(ch.Path); !need[dir]; dir = parent(dir) {
			need[dir] = true
		}
	}
	var levels [][]string
	for dir := range need {
		depth := 0
		if dir != "." {
			depth = 1 + strings.Count(dir, "/")
		}
		for len(levels) <= depth {
			levels = append(levels, nil)
		}
		levels[depth] = append(levels[depth], dir)
	}
	for _, level := range levels {
		slices.Sort(level)
		err := each(ctx, len(level), func(ctx context.Context, i int) error {
			return p.d.far.sftp.Mkdir(ctx, inFolder(p.stage+"/t", level[i]), 0o700)
		})
		if err != nil {
			return p.failed(ctx, "unpack", 0, err)
		}
	}
	return nil
}

// folderModes gives new folders their owners and modes, as far as that leaves us
// the right to move them.
func (p *sftpPut) folderModes(ctx context.Context) error {
	var fresh []*change
	for _, ch := range p.d.plan.changes {
		if ch.send && ch.Kind == Folder && ch.Path != "." {
			fresh = append(fresh, ch)
		}
	}
	return each(ctx, len(fresh), func(ctx context.Context, i int) error {
		ch := fresh[i]
		uid, gid, err := p.d.ownerNumbers(ctx, ch.Entry)
		if err == nil && uid != nil {
			err = p.d.far.sftp.Chown(ctx, p.staged(ch.Path), *uid, *gid)
		}
		if err == nil {
			err = p.d.far.sftp.Chmod(ctx, p.staged(ch.Path), *modeOf(ch.Mode | 0o700))
		}
		p.tick(0, 1)
		return p.failed(ctx, "mode", 0, err)
	})
}

func (p *sftpPut) tick(bytes int64, files int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count.add(bytes, files)
}

// name gives a file that was sent a further name.
func (p *sftpPut) name(ctx context.Context, ch *change) error {
	p.mu.Lock()
	first := p.inTree[ch.Same]
	p.mu.Unlock()
	if !first {
		return p.file(ctx, ch)
	}
	if err := p.d.far.sftp.Link(ctx, p.staged(ch.Same), p.staged(ch.Path)); err != nil {
		return p.failed(ctx, "unpack", 0, err)
	}
	p.tick(0, 1)
	return nil
}

// file makes one file or link.
func (p *sftpPut) file(ctx context.Context, ch *change) error {
	if ch.Kind == Link {
		if err := p.d.far.sftp.Symlink(ctx, ch.Target, p.staged(ch.Path)); err != nil {
			return p.failed(ctx, "unpack", 0, err)
		}
		p.tick(0, 1)
		return nil
	}
	uid, gid, err := p.d.ownerNumbers(ctx, ch.Entry)
	if err != nil {
		return err
	}
	f := sshpool.NewFile{Mode: *modeOf(ch.Mode), ModTime: seconds(ch.ModTime), UID: uid, GID: gid, Verify: !p.d.NoVerify, Sync: p.d.Sync}
	room := min(max(ch.Size, 1), maxContent)
	if err := p.room.Acquire(ctx, room); err != nil {
		return over(ctx)
	}
	defer p.room.Release(room)
	if ch.Size > sshpool.SmallFile {
		err = p.long(ctx, ch, f)
	} else {
		err = p.small(ctx, ch, f)
	}
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.inTree[ch.Path] = true
	p.count.add(0, 1)
	p.mu.Unlock()
	return nil
}

func (p *sftpPut) small(ctx context.Context, ch *change, f sshpool.NewFile) (err error) {
	if f.Data, err = p.d.whole(ch.Entry); err != nil {
		return err
	}
	if err := p.d.far.wait(ctx, len(f.Data)); err != nil {
		return err
	}
	if err := p.d.far.sftp.WriteNew(ctx, p.staged(ch.Path), f); err != nil {
		return p.failed(ctx, "unpack", ch.Size, err)
	}
	p.tick(ch.Size, 0)
	return nil
}

// long makes a file piece by piece.
func (p *sftpPut) long(ctx context.Context, ch *change, f sshpool.NewFile) error {
	to, err := p.d.far.sftp.OpenFile(ctx, p.staged(ch.Path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return p.failed(ctx, "unpack", ch.Size, err)
	}
	sum, err := p.pour(ctx, to, ch)
	if err == nil && f.Verify {
		err = compareBack(to, ch.Path, sum)
	}
	if err == nil && f.UID != nil {
		err = to.Chown(*f.UID, *f.GID)
	}
	if err == nil {
		err = to.Chmod(f.Mode)
	}
	if err == nil {
		err = to.Chtimes(f.ModTime, f.ModTime)
	}
	if err == nil && f.Sync && p.d.far.offers("fsync@openssh.com") {
		err = to.Sync()
	}
	if closed := to.Close(); err == nil {
		err = closed
	}
	return p.failed(ctx, "unpack", ch.Size, err)
}

// pour sends the content of a source, and gives its digest.
func (p *sftpPut) pour(ctx context.Context, to *sshpool.SFTPFile, ch *change) (sum digest, err error) {
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		var err error
		out := &ticking{w: w, tick: p.tick}
		sum, err = p.d.send(out, ch.Entry, make([]byte, bufferSize))
		w.CloseWithError(err)
		sent <- err
	}()
	in, _ := pace(ctx, p.d.far.rates, r, io.Discard)
	_, err = to.ReadFrom(in)
	r.CloseWithError(io.ErrClosedPipe)
	if read := <-sent; read != nil && !errors.Is(read, io.ErrClosedPipe) {
		err = read
	}
	return sum, err
}

// compareBack reads a file back and compares its digest.
func compareBack(f *sshpool.SFTPFile, name string, want digest) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := f.WriteTo(h); err != nil {
		return err
	}
	if digest(h.Sum(nil)) != want {
		return &Failure{Kind: scheduler.KindMismatch, Text: stages["verify"] + ": " + shown(name) + ": content differs"}
	}
	return nil
}

// whole gives the content of a small source, which is not to be changed.
func (p *Push) whole(e *Entry) ([]byte, error) {
	var k keeper
	_, err := p.send(&k, e, make([]byte, max(e.Size, 1)))
	return k.data, err
}

// keeper keeps what is written in one piece, without a copy of its own.
type keeper struct{ data []byte }

func (k *keeper) Write(b []byte) (int, error) {
	if k.data == nil {
		k.data = b
	} else {
		k.data = append(bytes.Clone(k.data), b...)
	}
	return len(b), nil
}

// apply puts all in its place.
func (p *sftpPut) apply(ctx context.Context) error {
	list := p.d.steps(p.d.plan, p.d.out)
	for i := 0; i < len(list); {
		n := i + 1
		for n < len(list) && list[n].verb == list[i].verb && (list[n].verb == toMove || list[n].verb == toTouch) {
			n++ // in whatever order
		}
		if err := p.steps(ctx, list[i:n]); err != nil {
			return err
		}
		i = n
	}
	return nil
}

// steps does steps of one verb.
func (p *sftpPut) steps(ctx context.Context, list []step) error {
	type one struct {
		s    *step
		name string
	}
	var all []one
	for i := range list {
		for _, name := range list[i].names {
			all = append(all, one{&list[i], name})
		}
	}
	return each(ctx, len(all), func(ctx context.Context, i int) error { return p.step(ctx, all[i].s, all[i].name) })
}

// step does one step to one name.
func (p *sftpPut) step(ctx context.Context, s *step, name string) error {
	there := inFolder(p.d.plan.base, name)
	sftp := p.d.far.sftp
	switch s.verb {
	case toKeep:
		return p.failed(ctx, "backup", 0, p.keep(ctx, there))
	case toRemove:
		return p.failed(ctx, "delete", 0, sftp.RemoveAll(ctx, there))
	case toMove:
		return p.failed(ctx, "move", 0, p.rename(ctx, p.staged(name), there))
	case toExchange:
		return p.exchange(ctx, name, there, s.arg == keepReplaced)
	case toChmod:
		if s.staged { // done as it was made
			return nil
		}
		return p.failed(ctx, "mode", 0, sftp.Chmod(ctx, there, *modeOf(s.mode)))
	case toChown:
		if s.staged {
			return nil
		}
		return p.failed(ctx, "owner", 0, p.chown(ctx, s.arg, there))
	case toTouch:
		when := seconds(s.time.Unix())
		if name == "." {
			p.mu.Lock()
			p.own = when
			p.mu.Unlock()
			return nil
		}
		return p.failed(ctx, "time", 0, sftp.Chtimes(ctx, there, when, when))
	}
	return nil // holes were never filled
}

// rename gives a file its place, in one step where the host can.
func (p *sftpPut) rename(ctx context.Context, from, to string) error {
	err := p.d.far.sftp.PosixRename(ctx, from, to)
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err = p.d.far.sftp.Rename(ctx, from, to); err == nil {
		return nil
	}
	if _, there := p.d.far.sftp.Lstat(ctx, to); there != nil {
		return err
	}
	p.gap()
	aside := p.stage + "/" + nonce()
	if err := p.d.far.sftp.Rename(ctx, to, aside); err != nil {
		return err
	}
	if err := p.d.far.sftp.Rename(ctx, from, to); err != nil {
		return errors.Join(err, p.d.far.sftp.Rename(ctx, aside, to))
	}
	return nil
}

// gap notes that a name was free for a moment.
func (p *sftpPut) gap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.d.did.NotAtomic = true
}

// keep gives what is there a further name, with "~"; what is no file, that name.
func (p *sftpPut) keep(ctx context.Context, name string) error {
	sftp := p.d.far.sftp
	info, err := sftp.Lstat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := sftp.RemoveAll(ctx, name+"~"); err != nil {
		return err
	}
	if info.Mode().IsRegular() && p.links() {
		if err := sftp.Link(ctx, name, name+"~"); err == nil {
			return nil
		}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := sftp.ReadLink(ctx, name)
		if err != nil {
			return err
		}
		return sftp.Symlink(ctx, target, name+"~")
	}
	if !info.IsDir() {
		p.gap()
	}
	return sftp.Rename(ctx, name, name+"~")
}

// exchange puts a folder in the place of another, which it may keep.
func (p *sftpPut) exchange(ctx context.Context, name, there string, keep bool) error {
	sftp := p.d.far.sftp
	info, err := sftp.Lstat(ctx, there)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p.failed(ctx, "move", 0, sftp.Rename(ctx, p.staged(name), there))
	case err != nil:
		return p.failed(ctx, "move", 0, err)
	case !info.IsDir():
		return &Failure{Kind: scheduler.KindConflict, Text: stages["move"] + ": " + shown(name) + ": is a link: only folders can be exchanged"}
	}
	p.gap()
	old := p.stage + "/old-" + nonce()
	if err := sftp.Rename(ctx, there, old); err != nil {
		return p.failed(ctx, "move", 0, err)
	}
	if err := sftp.Rename(ctx, p.staged(name), there); err != nil {
		return p.failed(ctx, "move", 0, errors.Join(err, sftp.Rename(ctx, old, there)))
	}
	if !keep {
		return nil // it goes with the stage
	}
	err = sftp.RemoveAll(ctx, there+"~")
	if err == nil {
		err = sftp.Rename(ctx, old, there+"~")
	}
	return p.failed(ctx, "backup", 0, err)
}

// chown gives a file another owner, in chown's word.
func (p *sftpPut) chown(ctx context.Context, word, name string) error {
	owner, group, _ := strings.Cut(word, ":")
	info, err := p.d.far.sftp.Lstat(ctx, name)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 { // SFTP would follow it
		return nil
	}
	uid, gid, err := p.d.far.numbers(ctx, owner, group)
	if err != nil || uid == nil {
		return err
	}
	return p.d.far.sftp.Chown(ctx, name, *uid, *gid)
}
