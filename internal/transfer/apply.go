package transfer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fleet/tasks"
)

// stagePrefix begins the names of the folders in which what is sent arrives.
const stagePrefix = ".fleet-stage."

// enterStage goes to the folder $base and makes the stage $t there, which nobody
// else can enter: made anew, and removed when the script ends. So are the stages
// of scripts that were not left that chance, such as by a host that went down; of
// this host's, as others may use the folder, too, and its processes are not theirs.
// die tells where it failed.
const enterStage = `case $base in /*) ;; *) base=./$base ;; esac
cd "$base" || die cd
h=$(uname -n 2>/dev/null)
for s in .fleet-stage.*/pid; do
	[ -f "$s" ] && read p on <"$s" && [ -n "$p" ] && [ "${on:-$h}" = "$h" ] && ! kill -0 "$p" 2>/dev/null && [ ! -d "/proc/$p" ] && rm -rf -- "${s%/pid}"
done
t=.fleet-stage.$n
w=$PWD
clean() { cd "$w" && { chmod -R u+rwX "$t" 2>/dev/null; rm -rf -- "$t"; }; }
trap clean EXIT
trap 'exit 4' HUP INT TERM PIPE
mkdir -- "$t" || die stage
echo "$$ $h" >"$t/pid" || die stage
`

// keepWord is the word k, which keeps what has the names that follow under these
// with "~".
const keepWord = `k() { for f do
	if [ -d "$f" ] && [ ! -L "$f" ]; then rm -rf -- "$f~" && mv -- "$f" "$f~" || die backup
	elif [ -e "$f" ] || [ -L "$f" ]; then
		[ ! -d "$f~" ] || rm -rf -- "$f~"
		ln -f -- "$f" "$f~" 2>/dev/null || cp -pP -- "$f" "$f~" || die backup
	fi; done; }
`

// putScript takes a stream of pack and puts all in its place. $1 is the nonce, $2
// the folder, $3 the mode that it is made with, empty if it is there, $4 the tool
// that compares digests, empty for none, $5 not empty where all is to be on disk
// before it ends. It writes "done" at the end, or "at STAGE" where it
// failed; whatever happens, its stage is removed.
const putScript = `n=$1 base=$2 mk=$3 sum=$4 disk=$5
die() { printf 'at %s\n' "$1"; exit 3; }
umask 077
[ -z "$mk" ] || [ -d "$base" ] || (umask 022; mkdir -p -m "$mk" -- "$base") || die mkdir
` + enterStage + `tar -xpf - -C "$t" || die unpack
[ -f "$t/apply" ] || die cut
cd "$t" || die stage
bad() { grep -v ': OK$' res | head -n 3 >&2; die verify; }
v() { s=$($dig <"$2") && [ "${s%% *}" = "$1" ] || { printf '%s: FAILED\n' "$2" >&2; die verify; }; }
case $sum in
sha256sum) dig=sha256sum ;;
shasum) dig='shasum -a 256' ;;
sha256) dig=sha256; [ ! -s names ] || xargs -0 sha256 -r <names | cmp -s - sums || die verify ;;
cksum) [ ! -s names ] || xargs -0 cksum <names | cmp -s - sums || die verify ;;
esac
case $sum in
sha256sum|shasum)
	[ ! -s sums ] || $dig -c sums >res 2>&1 || bad ;;
esac
[ "$sum" = cksum ] || [ -z "$sum" ] || . ./check
cd .. || die stage
` + keepWord + `r() { rm -rf -- "$@" || die delete; }
m() { d=$1; shift; mv -f -- "$@" "$d/" || die move; }
as() { mv -f -- "$1" "$2" || die move; }
x() { keep=$1 old=$t/t/$2; shift
	[ ! -L "$1" ] || { printf '%s: is a link: only folders can be exchanged\n' "$1" >&2; die move; }
	if [ ! -e "$1" ]; then mv -- "$t/t/$1" "$1" || die move; return; fi
	mv --exchange -T -- "$t/t/$1" "$1" 2>/dev/null || {
		old=$t/old
		mv -- "$1" "$old" || die move
		mv -- "$t/t/$1" "$1" || { mv -- "$old" "$1"; die move; }
		echo gap
	}
	if [ "$keep" = keep ]; then rm -rf -- "$1~" && mv -- "$old" "$1~" || die backup
	else rm -rf -- "$old"; fi; }
c() { z=$1; shift; chmod "$z" -- "$@" || die mode; }
o() { z=$1; shift; chown -h "$z" -- "$@" || die owner; }
u() { z=$1 d=$2; shift 2
	[ "$1" != . ] || [ -z "$t" ] || { own="$z $d"; return; }
	touch -c -d "$d" -- "$@" 2>/dev/null || TZ=UTC0 touch -c -t "$z" -- "$@" || die time; }
own=
p() { fallocate -d "$3" 2>/dev/null || { cp --sparse=always -p -- "$3" "$t/sparse" && mv -f -- "$t/sparse" "$3"; } 2>/dev/null
	u "$@"; }
. "./$t/apply"
cd . || die cd
clean
t=
[ -z "$own" ] || u $own . # the stage's end had changed it
[ -z "$disk" ] || sync -f . 2>/dev/null || sync || die sync
trap - EXIT
echo done
`

// Verbs of a step, words of putScript.
const (
	toKeep     = "k" // keep what has the name, with "~"
	toRemove   = "r"
	toMove     = "m" // from the stage into the folder of the argument
	toExchange = "x" // a folder of the stage for the one that is there, which is kept with "~" or dropped
	toChmod    = "c"
	toChown    = "o"
	toTouch    = "u"
	toPunch    = "p" // make holes
)

// step is one thing that is done when all that is sent has arrived and was
// compared.
type step struct {
	verb   string
	arg    string    // what the verb needs; empty for nothing
	mode   uint32    // what toChmod needs
	time   time.Time // what toTouch and toPunch need
	names  []string
	staged bool // the names are still those in the stage
}

// steps put what was unpacked in its place.
func (p *Push) steps(pl *plan, far *outlook) []step {
	var a steps
	isNew := make(map[string]bool) // folders that were not there, and so move whole
	for _, ch := range pl.changes {
		if ch.Kind == Folder && ch.send && ch.Path != "." {
			isNew[ch.Path] = true
		}
	}
	p.prepareStage(&a, pl)
	if p.Backup {
		a.add(step{verb: toKeep, names: pathsOf(pl.changes, func(ch *change) bool { return ch.send && ch.old != nil && !ch.removed })})
	}
	removed := pathsOf(pl.changes, func(ch *change) bool { return ch.removed })
	if p.Backup {
		a.add(step{verb: toKeep, names: removed})
	}
	a.add(step{verb: toRemove, names: removed})
	p.moves(&a, pl, isNew)
	var gone []string
	for _, e := range pl.deletes {
		gone = append(gone, e.Path)
	}
	if p.Backup {
		a.add(step{verb: toKeep, names: gone})
	}
	a.add(step{verb: toRemove, names: gone})
	p.metadata(&a, pl, far, isNew)
	return a.list
}

// steps gathers steps.
type steps struct{ list []step }

// add adds a step, if it is about anything.
func (a *steps) add(s step) {
	if len(s.names) > 0 {
		a.list = append(a.list, s)
	}
}

func pathsOf(changes []*change, want func(*change) bool) []string {
	var list []string
	for _, ch := range changes {
		if want(ch) {
			list = append(list, ch.Path)
		}
	}
	return list
}

// prepareStage makes what tar could not: owners by flag, holes.
func (p *Push) prepareStage(a *steps, pl *plan) {
	if z := p.ownerWord(); z != "" {
		a.add(step{verb: toChown, arg: z, staged: true, names: pathsOf(pl.changes, func(ch *change) bool { return ch.send && ch.Path != "." })})
		for _, ch := range pl.changes { // chown takes such bits away
			if ch.send && ch.Kind == File && ch.Mode&0o6000 != 0 {
				a.add(step{verb: toChmod, mode: ch.Mode, staged: true, names: []string{ch.Path}})
			}
		}
	}
	for _, ch := range pl.changes {
		if ch.send && ch.Sparse && ch.Same == "" {
			a.add(step{verb: toPunch, time: ch.modified(), staged: true, names: []string{ch.Path}})
		}
	}
}

// ownerWord is the owner that was asked for, in chown's word; empty for none.
func (p *Push) ownerWord() string {
	switch {
	case p.Owner != "" && p.Group != "":
		return p.Owner + ":" + p.Group
	case p.Group != "":
		return ":" + p.Group
	}
	return p.Owner
}

// moves puts what is sent in its place: files and links, and folders that were
// not there with all that is in them.
func (p *Push) moves(a *steps, pl *plan, isNew map[string]bool) {
	var order []string
	into := map[string][]string{}
	for _, ch := range pl.changes {
		dir := parent(ch.Path)
		if !ch.send || ch.Path == "." || isNew[dir] {
			continue
		}
		if slices.Contains(pl.exchange, ch.Path) {
			a.add(step{verb: toExchange, arg: p.replaced(), names: []string{ch.Path}})
			continue
		}
		if into[dir] == nil {
			order = append(order, dir)
		}
		into[dir] = append(into[dir], ch.Path)
	}
	for _, dir := range order {
		a.add(step{verb: toMove, arg: "./" + dir, staged: true, names: into[dir]})
	}
}

// keepReplaced is the word that has a folder kept for which another is exchanged.
const keepReplaced = "keep"

// replaced says what becomes of such folders.
func (p *Push) replaced() string {
	if p.Backup {
		return keepReplaced
	}
	return "drop"
}

// metadata sets modes, owners and times of what was not sent, and of folders
// once they hold what they are to hold: what is in them comes first.
func (p *Push) metadata(a *steps, pl *plan, far *outlook, isNew map[string]bool) {
	touched := map[string]bool{} // folders whose time is not what it was
	for _, ch := range pl.changes {
		if ch.send && !isNew[parent(ch.Path)] {
			touched[parent(ch.Path)] = true
		}
	}
	for _, e := range pl.deletes {
		touched[parent(e.Path)] = true
	}
	for _, ch := range slices.Backward(pl.changes) {
		e, name := ch.Entry, []string{ch.Path}
		fresh := ch.send && ch.Path != "."
		if ch.owner && !fresh {
			z := p.ownerWord()
			if z == "" {
				z = far.owner(e.Owner) + ":" + far.group(e.Group)
			}
			a.add(step{verb: toChown, arg: z, names: name})
		}
		if e.Kind == Link {
			continue
		}
		short := fresh && e.Kind == Folder && e.Mode&0o700 != 0o700 // tar was not told
		if !fresh && (ch.mode || ch.owner && e.Mode&0o7000 != 0 || ch.Path == "." && ch.send) || short {
			a.add(step{verb: toChmod, mode: e.Mode, names: name})
		}
		if e.Kind == File && ch.time && !fresh {
			a.add(step{verb: toTouch, time: e.modified(), names: name})
		}
	}
	pl.folderTimes(a, far, isNew, touched)
}

// folderTimes sets the times of folders, those within others first.
func (pl *plan) folderTimes(a *steps, far *outlook, isNew, touched map[string]bool) {
	for _, e := range slices.Backward(pl.folders) {
		own := pl.change(e.Path)
		keeps := far.tar == "gnu" || far.tar == "bsd"
		if own != nil && (own.time || own.send && (!keeps || e.Path == ".")) || touched[e.Path] && !isNew[e.Path] {
			a.add(step{verb: toTouch, time: e.modified(), names: []string{e.Path}})
		}
	}
}

// stamp is a time as touch reads it (POSIX.1-2017, touch), in UTC: first as -t
// does, then as -d does, which not all tools have.
func stamp(t time.Time) string {
	return t.UTC().Format("200601021504.05 2006-01-02T15:04:05.999999999Z")
}

// maxLine keeps what one command gets far below what systems allow (ARG_MAX).
const maxLine = 60 << 10

// code is sh code of steps, in words of putScript, many names to a line. Paths
// are below the folder; those of the stage begin with "$t/", which is not quoted.
func code(list []step) string {
	var b strings.Builder
	for _, s := range list {
		verb, size := s.words(), 0
		for i, n := range s.names {
			q := tasks.Quote(n)
			if s.staged {
				q = `"$t"/` + tasks.Quote("t/"+n)
			}
			more := len(q) + len(stagePrefix) + 26 // what $t comes to
			if size == 0 || size+more > maxLine {
				if i > 0 {
					b.WriteByte('\n')
				}
				size = len(verb)
				b.WriteString(verb)
			}
			size += more
			b.WriteString(" " + q)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// words are what stands before the names.
func (s *step) words() string {
	switch {
	case s.verb == toTouch || s.verb == toPunch:
		return s.verb + " " + stamp(s.time)
	case s.verb == toChmod:
		return fmt.Sprintf("%s %04o", s.verb, s.mode)
	case s.arg != "":
		return s.verb + " " + tasks.Quote(s.arg)
	}
	return s.verb
}
