package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"fleet/scheduler"
	"fleet/sshpool"
)

// aloneSize is the size from which a file that is all there is to send goes by
// sshpool.Files: that goes on where an interrupted push stopped, has the file
// synced, and needs a session more. It is not changed while anything is copied, and
// only by tests.
var aloneSize int64 = 8 << 20

// sources are the files that went alone, each opened once for all hosts.
type sources struct {
	mu   sync.Mutex
	open map[string]*sshpool.Source
}

// source opens a file, which is to be as it was when it was scanned.
func (s *sources) source(e *Entry) (*sshpool.Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if src := s.open[e.local]; src != nil {
		return src, nil
	}
	src, err := sshpool.OpenSource(e.local)
	if err != nil {
		return nil, err
	}
	if fingerprintOf(src.Info()) != e.seen {
		src.Close()
		return nil, &changedError{e.local}
	}
	if s.open == nil {
		s.open = make(map[string]*sshpool.Source)
	}
	s.open[e.local] = src
	return src, nil
}

func (s *sources) close() error {
	var errs []error
	for _, src := range s.open {
		errs = append(errs, src.Close())
	}
	return errors.Join(errs...)
}

// alone sends the one file that is to be sent, if it is a large one. It is not
// done where the host has no SFTP, or another view of its files by it than by
// its shell: then nothing has happened.
func (d *pushing) alone(ctx context.Context) (done bool, err error) {
	ch := d.loneFile()
	if ch == nil {
		return false, nil
	}
	if d.far.become != nil {
		return d.staged(ctx, ch)
	}
	o := sshpool.PutOptions{Mode: modeOf(ch.Mode), Rates: d.far.rates}
	if o.UID, o.GID, err = d.ownerNumbers(ctx, ch.Entry); err != nil {
		return false, err
	}
	src, err := d.sources.source(ch.Entry)
	if err != nil {
		return true, err
	}
	files, err := d.far.conn.Files(ctx)
	if err != nil {
		return false, nil // tar may do; what else is wrong shows there
	}
	defer files.Close()
	if files.Way() == sshpool.WayStream {
		return false, nil
	}
	name := path.Join(d.plan.base, ch.Path)
	if d.Backup && ch.old != nil {
		o.Backup = name + "~"
	}
	if d.NoVerify {
		o.Verify = sshpool.VerifyOff
	}
	o.ModTime = time.Unix(ch.ModTime, 0)
	count := d.counter()
	o.Progress = func(n int64) { count.add(n, 0) }
	res, err := d.putFile(ctx, files, src, name, o)
	if err != nil {
		return !elsewhere(err), aloneFailure(err)
	}
	count.add(0, 1)
	count.end()
	d.did.Way, d.did.NotSynced, d.did.NotAtomic, d.did.Resumed = string(res.Way), !res.Synced, !res.Atomic, res.Resumed
	d.count()
	return true, d.parentTimes(ctx, files, ch)
}

// loneFile is the file, if it is one that can go alone.
func (d *pushing) loneFile() *change {
	pl := d.plan
	if len(pl.changes) != 1 || len(pl.deletes) > 0 || len(pl.exchange) > 0 {
		return nil
	}
	ch := pl.changes[0]
	switch {
	case !ch.send || ch.removed || ch.Kind != File || ch.Size < aloneSize:
		return nil
	case ch.local == "" || ch.content != nil || ch.rendered || ch.Sparse || ch.Same != "":
		return nil
	}
	return ch
}

// elsewhere says that SFTP does not show what the shell does.
func elsewhere(err error) bool {
	var e *sshpool.Error
	return errors.As(err, &e) && (e.Kind == sshpool.KindNotFound || e.Kind == sshpool.KindUnsupported)
}

// aloneFailure is what a put came to; a connection's end stays what it is.
func aloneFailure(err error) error {
	var e *sshpool.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case sshpool.KindConnLost, sshpool.KindCanceled, sshpool.KindTimeout, sshpool.KindSessionLimit, sshpool.KindProtocol:
		return err
	case sshpool.KindNotFound, sshpool.KindUnsupported:
		return nil
	}
	return &Failure{Kind: scheduler.Kind(e.Kind), Text: e.Text, Err: err}
}

// modeOf makes a mode of permission bits.
func modeOf(bits uint32) *fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			m |= flag
		}
	}
	return &m
}

// numbersScript writes the numbers of a user and a group, empty for none.
const numbersScript = `u= g=
[ -z "$2" ] || u=$(id -u -- "$2") || exit 3
[ -z "$3" ] || g=$( (getent group "$3" || grep "^$3:" /etc/group) 2>/dev/null | cut -d: -f3)
[ -z "$3" ] || [ -n "$g" ] || { printf '%s: no such group\n' "$3" >&2; exit 3; }
echo "$u,$g"
`

// ownerNumbers are the owner and the group that the file is to have on the host,
// as tar would give them.
func (d *pushing) ownerNumbers(ctx context.Context, e *Entry) (uid, gid *int, err error) {
	owner, group := d.Owner, d.Group
	if d.out.uid == 0 {
		if owner == "" {
			owner = d.out.owner(e.Owner)
		}
		if group == "" {
			group = d.out.group(e.Group)
		}
	}
	if owner == "root" && group == "root" {
		zero := 0
		return &zero, &zero, nil
	}
	if owner == "" && group == "" {
		return nil, nil, nil
	}
	if d.far.sftp != nil {
		return d.far.numbers(ctx, owner, group)
	}
	said := &firstBytes{most: maxSaid}
	res, err := d.far.script(ctx, nonce(), numbersScript, []string{owner, group}, nil, said)
	if err != nil {
		return nil, nil, err
	}
	if res.code != 0 {
		return nil, nil, complaint(stages["owner"], d.plan.base, res.stderr, ended(res))
	}
	u, g, _ := strings.Cut(strings.TrimSpace(string(said.kept)), ",")
	number := func(s string) *int {
		var n int
		if _, err := fmt.Sscanf(s, "%d", &n); err != nil {
			return nil
		}
		return &n
	}
	return number(u), number(g), nil
}
