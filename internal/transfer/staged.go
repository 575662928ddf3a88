package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"fleet/scheduler"
	"fleet/sshpool"
)

// A large file that root is to have goes in two steps, as root has no SFTP: the
// login user puts it together in a folder of its own, where an interrupted push
// can go on, and a script copies it from there as root, compares the copy, which
// nobody else can reach, with the digest that it was given from here, and puts it
// in its place.

// stageScript makes a folder of the login user's that nobody else can enter, by
// the name $2, and in it a file that tells whether others see the same by that
// name. It writes "in FOLDER". What was left there for a week it removes.
const stageScript = `umask 077
[ -n "${HOME-}" ] && cd "$HOME" && mkdir -p .cache/fleet/stage && cd .cache/fleet/stage && chmod 700 . || exit 3
find . \( -name '.fleet-*.part' -o -name 'probe-*' \) -mtime +7 -exec sh -c 'for f do rm -f "$f"; rmdir "${f%/*}"; done' sh {} + 2>/dev/null
mkdir -p "$2" && chmod 700 "$2" && printf %s "$1" >"$2/probe-$1" || exit 3
printf 'in %s\n' "$(pwd -P)/$2"
`

// seenScript writes what the file $2 holds, if it can be read and the folder $3
// can be written to.
const seenScript = `case $3 in /*) b=$3 ;; *) b=./$3 ;; esac
cd "$b" && [ -w . ] && [ -f "$2" ] && head -c 64 <"$2"
`

// placeScript puts a copy of the file $4, of $5 bytes, in its place, $3 in the
// folder $2, if its SHA-256 is $6 by the tool $7. Its owner will be $8, its mode
// $9, its time $10 and $11 as touch reads it; $12 is not empty where what is
// replaced is kept, $13 where all is to be on disk before it ends; $14
// and $15 are the time that the folder will have, empty for none. Whatever
// happens, nothing else is left in the folder. It writes as putScript does.
const placeScript = `n=$1 base=$2 name=$3 from=$4 size=$5 want=$6 dig=$7 owner=$8 mode=$9; shift 9
t1=$1 t2=$2 keep=$3 disk=$4 f1=$5 f2=$6
die() { printf 'at %s\n' "$1"; exit 3; }
umask 077
` + enterStage + keepWord + `mkdir -- "$t/t" && cd "$t/t" || die stage
[ -f "$from" ] && [ ! -L "$from" ] || die copy
head -c "$size" <"$from" >"./$name" || die copy
[ "$dig" != shasum ] || dig='shasum -a 256'
s=$($dig <"./$name") && [ "${s%% *}" = "$want" ] || die verify
[ -z "$owner" ] || chown -h -- "$owner" "./$name" || die owner
chmod "$mode" "./$name" || die mode
u() { touch -c -d "$2" "$3" 2>/dev/null || TZ=UTC0 touch -c -t "$1" "$3" || die time; }
u "$t1" "$t2" "./$name"
[ -z "$disk" ] || sync "./$name" 2>/dev/null || sync || die sync
[ -z "$keep" ] || k "../../$name"
mv -f -- "./$name" ../../ || die move
cd ../.. || die cd
clean
[ -z "$f1" ] || u "$f1" "$f2" .
trap - EXIT
[ -z "$disk" ] || sync . 2>/dev/null || sync || die sync
echo done
`

// staged sends the one file that is to be sent to a host where root puts it in its
// place. It is not done where that cannot be; then nothing has happened.
func (d *pushing) staged(ctx context.Context, ch *change) (done bool, err error) {
	if !d.canStage() {
		return false, nil
	}
	files, err := d.far.conn.Files(ctx)
	if err != nil {
		return false, nil // tar may do; what else is wrong shows there
	}
	defer files.Close()
	count := d.counter()
	res, done, err := d.stage(ctx, files, ch, count)
	if !done || err != nil {
		return done, err
	}
	count.end()
	d.did.Way, d.did.NotSynced, d.did.Resumed = stagedWay(res), !d.Sync, res.Resumed
	d.count()
	return true, nil
}

func stagedWay(res sshpool.Transfer) string { return string(res.Way) + " and a copy by root" }

// canStage says that root writes the files, as others could read nothing of what
// the login user has staged, and can compare them.
func (d *pushing) canStage() bool {
	return d.out.uid == 0 && d.out.sum != "cksum" && d.out.sum != "none"
}

// stage sends a file to where root puts it in its place, and has that done. It is
// not done, and nothing has happened, by a host without SFTP, without a folder for
// the file, or without the room.
func (d *pushing) stage(ctx context.Context, files *sshpool.Files, ch *change, count *counter) (res sshpool.Transfer, done bool, err error) {
	src, err := d.sources.source(ch.Entry)
	if err != nil {
		return res, true, err
	}
	name := path.Join(d.plan.base, ch.Path)
	folder := d.stageFor(ctx, files, name, ch.Size)
	if folder == "" {
		return res, false, nil
	}
	defer func() { files.SFTP().RemoveDir(ctx, folder) }() // if nothing is left there to go on with
	var placing bool
	var placeErr error
	o := sshpool.PutOptions{Stage: folder, NoSync: true, Rates: d.far.rates, Progress: func(n int64) { count.add(n, 0) },
		Move: func(ctx context.Context, staged, _ string) error {
			placing = true
			placeErr = d.placeAsRoot(ctx, ch, src, staged)
			return placeErr
		}}
	if d.NoVerify { // root compares in any case
		o.Verify = sshpool.VerifyOff
	}
	res, err = files.Put(ctx, src, name, o)
	switch {
	case placeErr != nil:
		return res, true, placeErr
	case err != nil && !placing && !final(err):
		return res, false, nil
	case err != nil:
		return res, true, aloneFailure(err)
	}
	count.add(0, 1)
	return res, true, nil
}

// stageLarge puts the large files of a tree by way of a stage, and by the stream
// those of which that is not to be.
func (d *pushing) stageLarge(ctx context.Context, count *counter) error {
	rest, err := d.stageEach(ctx, count)
	if err != nil || rest == nil {
		return err
	}
	only := &pushing{Push: d.Push, host: d.host, far: d.far, tree: d.tree, show: d.show, out: d.out,
		plan: &plan{base: d.plan.base, changes: rest, folders: d.plan.folders}}
	if err := only.most(ctx, count); err != nil {
		return err
	}
	for _, ch := range rest {
		d.did.Sent++
		d.did.Bytes += ch.Size
	}
	d.went(only.did.Way)
	return nil
}

// stageEach puts the large files of a tree by way of a stage, and gives those of
// which that is not to be.
func (d *pushing) stageEach(ctx context.Context, count *counter) (rest []*change, err error) {
	files, err := d.far.conn.Files(ctx)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	for _, ch := range d.large {
		res, done, err := d.stage(ctx, files, ch, count)
		d.did.Resumed += res.Resumed
		if err != nil {
			return nil, err
		}
		d.did.NotSynced = !d.Sync
		if !done {
			rest = append(rest, ch)
			continue
		}
		d.did.Sent++
		d.did.Bytes += ch.Size
		d.went(stagedWay(res))
	}
	return rest, nil
}

// final says of a put that failed that no other way would do better.
func final(err error) bool {
	var e *sshpool.Error
	if !errors.As(err, &e) {
		return true
	}
	switch e.Kind {
	case sshpool.KindConnLost, sshpool.KindCanceled, sshpool.KindTimeout, sshpool.KindChanged, sshpool.KindLocal:
		return true
	}
	return false
}

// stageLimit is how long a place where a file could be staged is waited for.
const stageLimit = 20 * time.Second

// stageFor makes the folder where the login user puts a file together that will
// have a name; empty where that is not to be: SFTP and root must see it as the
// shell does, and there must be room for the file twice, as its place may be on
// the same file system.
func (d *pushing) stageFor(ctx context.Context, files *sshpool.Files, name string, size int64) string {
	s := files.SFTP()
	if s == nil {
		return ""
	}
	login := far{conn: d.far.conn}
	asked, stop := context.WithTimeout(ctx, stageLimit) // there may be no session beside that of SFTP
	defer stop()
	n := nonce()
	said := &firstBytes{most: maxSaid}
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:32]
	if res, err := login.script(asked, n, stageScript, []string{id}, nil, said); err != nil || res.code != 0 {
		return ""
	}
	made, ok := strings.CutPrefix(strings.TrimSuffix(string(said.kept), "\n"), "in ")
	if !ok || !path.IsAbs(made) {
		return ""
	}
	probe := path.Join(made, "probe-"+n)
	list, err := s.ReadDir(ctx, made)
	if err != nil {
		return ""
	}
	seen, held := false, int64(0)
	for _, fi := range list {
		seen = seen || fi.Name() == path.Base(probe)
		held += fi.Size()
	}
	if !seen {
		return ""
	}
	said.kept = nil
	_, err = d.far.script(ctx, n, seenScript, []string{probe, path.Dir(name)}, nil, said)
	s.Remove(ctx, probe)
	if v, vErr := s.StatVFS(ctx, made); err != nil || string(said.kept) != n || vErr != nil || int64(v.Avail)+held < 2*size {
		s.RemoveDir(ctx, made)
		return ""
	}
	return made
}

// placeAsRoot has root put a staged file in its place.
func (d *pushing) placeAsRoot(ctx context.Context, ch *change, src *sshpool.Source, staged string) error {
	sum, err := src.SHA256(ctx)
	if err != nil {
		return aloneFailure(err)
	}
	t1, t2, _ := strings.Cut(stamp(ch.modified()), " ")
	f1, f2, _ := strings.Cut(d.folderStamp(parent(ch.Path)), " ")
	args := []string{path.Join(d.plan.base, parent(ch.Path)), path.Base(ch.Path), staged, fmt.Sprint(ch.Size), fmt.Sprintf("%x", sum), d.out.sum, d.rootsWord(ch.Entry),
		fmt.Sprintf("%04o", ch.Mode), t1, t2, yes(d.Backup && ch.old != nil), yes(d.Sync), f1, f2}
	said := &lastBytes{most: maxSaid}
	res, err := d.far.script(ctx, nonce(), placeScript, args, nil, said)
	if err != nil {
		return err
	}
	failed := ""
	for line := range strings.Lines(string(said.kept)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "done" {
			return nil
		}
		if at, ok := strings.CutPrefix(line, "at "); ok {
			failed = at
		}
	}
	name := whole(d.plan.base, ch.Path)
	switch failed {
	case "verify":
		return &Failure{Kind: scheduler.KindMismatch, Text: stages[failed] + ": " + name + ": content differs"}
	case "stage":
		name = whole(d.plan.base, "") + noStage
	default:
		what, known := stages[failed]
		if !known {
			what = "put files"
		}
		name = what + ": " + name
	}
	f := complaint("", d.plan.base, res.stderr, ended(res))
	return &Failure{Kind: f.Kind, Text: name + f.Text[strings.LastIndex(f.Text, ": "):]}
}

// folderStamp is the time that a folder is to have, as stamp gives it; empty where
// that is not ours to say.
func (d *pushing) folderStamp(name string) string {
	for _, e := range d.plan.folders {
		if e.Path == name {
			return stamp(e.modified())
		}
	}
	return ""
}

// rootsWord is the owner that a file is to have where root writes it, in chown's
// word, as tar would give it.
func (d *pushing) rootsWord(e *Entry) string {
	owner, group := d.Owner, d.Group
	if owner == "" {
		owner = d.out.owner(e.Owner)
	}
	if group == "" {
		group = d.out.group(e.Group)
	}
	return owner + ":" + group
}
