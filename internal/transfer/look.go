package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/tasks"
)

// lookScript tells what there is on a host. $1 is the nonce, $2 what to look at:
// "names" reads names from its input, and so does "trees" for what it looks at with
// all below; "one" decides between two, of which the first is the argument after $8; $3 is the folder, $4 and $5 are what "one" decides
// between; $6 is find's way with links; $7 and $8 are names of users and groups
// of whom root wants to know whether there are any.
//
// It writes lines of "word value", an empty line, and the entries: where find is
// GNU's, two strings that end in NUL for each; else, behind a mark for each,
// what stat says. "end" comes last.
const lookScript = `n=$1 what=$2 dst=$3 dir=$4 name=$5 L=$6 users=$7 groups=$8; shift 8
say() { printf '%s\n' "$*"; }
F=0
if [ -d "$dst" ]; then k=folder b=$dst F=1
elif [ -e "$dst" ] || [ -L "$dst" ]; then k=file b=$dir
else k=none b=$dir; fi
say dst $k
[ "$what" = one ] && [ $F = 1 ] && [ -n "${1-}" ] && name=$1
[ "$what" = one ] || b=$dst
case $b in /*) ;; *) b=./$b ;; esac
u=$(id -u)
say uid $u
t=$(tar --version 2>&1); case $t in *GNU*) t=gnu ;; *usy[bB]ox*) t=busybox ;; *bsdtar*) t=bsd ;; *) t=none; command -v tar >/dev/null 2>&1 && t=other ;; esac
say tar $t
for s in sha256sum shasum sha256 cksum none; do command -v $s >/dev/null 2>&1 && break; done
say sum $s
P='%y %m %s %T@ %u %g %n %D:%i %b %p\0%l\0'; export P
if find / -maxdepth 0 -printf '' 2>/dev/null; then S=gnu
elif stat -c %f / >/dev/null 2>&1; then S=c; P="$n s %f %s %Y %U %G %h %d:%i %b %n"
elif stat -f %z / >/dev/null 2>&1; then S=f; P="$n s %Xp %z %m %Su %Sg %l %d:%i %b %N"
else S=none; fi
say find $S
[ "$u" != 0 ] || {
	for u in $users; do id -u "$u" >/dev/null 2>&1 && say user "$u"; done
	for g in $groups; do { getent group "$g" || grep "^$g:" /etc/group; } >/dev/null 2>&1 && say group "$g"; done; }
export S n L
if [ -d "$b" ] && cd "$b" 2>/dev/null; then
	[ -w . ] && say writable yes
	say base yes
else
	if [ -d "$b" ]; then say base denied; elif [ -e "$b" ]; then say base file; fi
	say; printf 'end\0'; exit 0
fi
say
show='case $S in c) stat -c "$P" -- "$@" 2>/dev/null ;; f) stat -f "$P" -- "$@" 2>/dev/null ;; esac
for f do [ -L "$f" ] && { printf "%s l %s\0" "$n" "$f"; readlink -- "$f" 2>/dev/null || readlink "$f"; }; done; :'
each='case $S in gnu) find "$@" -maxdepth 0 -printf "$P" 2>/dev/null ;; *) '$show' ;; esac'
case $what in
one) sh -c "$each" sh "./$name" ;;
names) xargs -0 sh -c "$each" sh ;;
trees) export show
	xargs -0 sh -c 'case $S in gnu) find $L "$@" -printf "$P" ;; *) find $L "$@" -exec sh -c "$show" sh {} + ;; esac' sh ;;
esac
case $S in gnu) printf 'end\0' ;; *) printf '%s end\0' "$n" ;; esac
exit 0
`

// outlook is what a look at a host has found.
type outlook struct {
	dst      string // folder, file, none
	base     string // yes, denied, file; empty where it is not there
	uid      int
	tar      string // gnu, busybox, bsd, other, none
	sum      string // the tool that computes digests: sha256sum, shasum, sha256 (of the BSDs), cksum
	find     string // gnu, c, f, none: how entries are told
	writable bool
	users    map[string]bool // of those asked for, they that are known
	groups   map[string]bool
	ended    bool // all has come
	there    map[string]*Entry
	stderr   []byte // what could not be looked at
}

// bounds limit what is taken from a host.
type bounds struct {
	entries int
	depth   int
}

// lookFor says what to look at.
type lookFor struct {
	what  string   // names, trees, one
	dst   string   // clean
	names []string // below dst; for one, the name in dst if it is a folder
	links Links
	most  bounds

	users, groups map[string]bool
}

// plainNames joins those names that a shell reads as they are.
func plainNames(set map[string]bool) string {
	var list []string
	for name := range set {
		if name != "" && tasks.Quote(name) == name && name[0] != '-' {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// look looks at a host: by its shell, or where it has none, or not what is
// needed, by SFTP.
func (f *far) look(ctx context.Context, l lookFor) (*outlook, error) {
	if f.sftp == nil {
		out, err := f.lookByShell(ctx, l)
		if !lacking(out, err) {
			return out, err
		}
		begun := false
		for range 2 { // dropbear 2022.82 to 2024.85 may close one that is opened as a command ends (mkj/dropbear#321)
			begun = begun || f.bySFTP(ctx)
		}
		if !begun {
			return out, err
		}
	}
	return f.lookBySFTP(ctx, l)
}

// lacking says that a host has no shell, or not the tools. One that serves files
// alone may refuse a command, or end it without a word.
func lacking(out *outlook, err error) bool {
	var f *Failure
	if err != nil {
		return errors.As(err, &f) && f.Kind == scheduler.KindNoShell ||
			isKind(err, sshpool.KindNoShell) || isKind(err, sshpool.KindNoStatus) || isKind(err, sshpool.KindPermission)
	}
	return out.find == "none" || out.tar == "none"
}

func (f *far) lookByShell(ctx context.Context, l lookFor) (*outlook, error) {
	args := []string{l.what, l.dst, path.Dir(l.dst), path.Base(l.dst), "-H", plainNames(l.users), plainNames(l.groups)}
	if l.links == FollowLinks {
		args[4] = "-L"
	}
	var stdin io.Reader
	switch l.what {
	case "one":
		args = append(args, l.names...)
	default:
		var names strings.Builder
		for _, n := range l.names {
			if n != "." {
				names.WriteString("./")
			}
			names.WriteString(n + "\x00")
		}
		stdin = strings.NewReader(names.String())
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n := nonce()
	p := &lookParser{n: []byte(n + " "), out: &outlook{there: make(map[string]*Entry), users: map[string]bool{}, groups: map[string]bool{}}, most: l.most, stop: stop}
	res, err := f.script(ctx, n, lookScript, args, stdin, p)
	if p.err != nil {
		return nil, p.err
	}
	if err != nil {
		return nil, err
	}
	if !p.out.ended {
		return nil, &Failure{Kind: scheduler.KindNoShell, Text: "look at files: " + ended(res)}
	}
	p.out.stderr = res.stderr
	return p.out, nil
}

// lookParser reads what lookScript writes.
type lookParser struct {
	out  *outlook
	most bounds
	stop func()
	err  error

	rest  []byte
	heads bool   // the lines before the entries are over
	first []byte // of two strings, the first; nil if it has not come
	n     []byte // the mark before what stat says, with a space
}

func (p *lookParser) Write(b []byte) (int, error) {
	if p.err != nil || p.out.ended {
		return len(b), nil
	}
	p.rest = append(p.rest, b...)
	rest := p.rest
	for !p.heads {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok {
			break
		}
		rest = after
		p.head(string(line))
	}
	for p.heads && p.err == nil && !p.out.ended {
		after, ok := p.record(rest)
		if !ok {
			break
		}
		rest = after
	}
	if len(rest) > maxRecord && p.err == nil {
		p.fail("names are longer than %d bytes", maxRecord)
	}
	p.rest = append(p.rest[:0], rest...)
	return len(b), nil
}

// maxRecord is how long what a host says of one entry may be.
const maxRecord = 32 << 10

func (p *lookParser) fail(format string, args ...any) {
	p.err = &Failure{Kind: scheduler.KindUnsafe, Text: "look at files: " + fmt.Sprintf(format, args...)}
	p.stop()
}

func (p *lookParser) head(line string) {
	word, value, _ := strings.Cut(line, " ")
	o := p.out
	switch word {
	case "":
		p.heads = true
	case "dst":
		o.dst = value
	case "base":
		o.base = value
	case "uid":
		o.uid, _ = strconv.Atoi(value)
	case "tar":
		o.tar = value
	case "sum":
		o.sum = value
	case "find":
		o.find = value
	case "user":
		o.users[value] = true
	case "group":
		o.groups[value] = true
	case "writable":
		o.writable = true
	}
}

// record takes one record, if it is whole.
func (p *lookParser) record(b []byte) (rest []byte, ok bool) {
	if p.out.find != "gnu" {
		return p.statRecord(b)
	}
	s, rest, ok := bytes.Cut(b, []byte{0})
	switch {
	case !ok:
	case p.first == nil && string(s) == "end":
		p.out.ended = true
	case p.first == nil:
		p.first = append(p.first[:0], s...)
	default:
		p.add(string(p.first), string(s))
		p.first = nil
	}
	return rest, ok
}

// add takes "TYPE MODE SIZE TIME USER GROUP LINKS ID BLOCKS PATH".
func (p *lookParser) add(text, target string) {
	f := strings.SplitN(text, " ", 10)
	if len(f) != 10 {
		p.fail("not understood: %s", quoted([]byte(text)))
		return
	}
	e := &Entry{Kind: Other, Owner: f[4], Group: f[5], id: f[7], Target: target}
	switch f[0] {
	case "f":
		e.Kind = File
	case "d":
		e.Kind = Folder
	case "l":
		e.Kind = Link
	}
	mode, err := strconv.ParseUint(f[1], 8, 32)
	e.Mode = uint32(mode) & 0o7777
	p.numbers(e, err, f[2], f[3], f[6], f[8])
	p.entry(e, f[9])
}

// numbers fills in what is a number in decimal.
func (p *lookParser) numbers(e *Entry, err error, size, modTime, links, blocks string) {
	seconds, fraction, _ := strings.Cut(modTime, ".")
	if fraction = (fraction + "000000000")[:9]; strings.Trim(fraction, "0123456789") == "" {
		e.Nanos, _ = strconv.ParseInt(fraction, 10, 64)
	}
	var errs [4]error
	e.Size, errs[0] = strconv.ParseInt(size, 10, 64)
	e.ModTime, errs[1] = strconv.ParseInt(seconds, 10, 64)
	e.links, errs[2] = strconv.Atoi(links)
	n, berr := strconv.ParseInt(blocks, 10, 64)
	errs[3] = berr
	for _, more := range errs {
		if err == nil {
			err = more
		}
	}
	if err != nil || e.Size < 0 {
		p.fail("not understood: %v", err)
		return
	}
	e.Sparse = e.Kind == File && e.Size >= sparseFrom && n < (e.Size-sparseFrom/2)/512
}

// entry takes an entry under the name that the host gave.
func (p *lookParser) entry(e *Entry, name string) {
	if p.err != nil {
		return
	}
	e.Path = name
	if rel, ok := strings.CutPrefix(name, "./"); ok {
		e.Path = rel
	}
	if e.Path == "" {
		e.Path = "."
	}
	switch {
	case len(p.out.there) >= p.most.entries && p.most.entries > 0:
		p.fail("more than %d entries", p.most.entries)
		return
	case strings.Count(e.Path, "/") > p.most.depth && p.most.depth > 0:
		p.fail("more than %d folders deep", p.most.depth)
		return
	}
	p.out.there[e.Path] = e
}

// statRecord takes what stands behind one mark: "s" and what stat says, a line;
// or "l", a name, NUL, and what readlink says, a line; or "end".
func (p *lookParser) statRecord(b []byte) (rest []byte, ok bool) {
	if string(b) == "end\x00" { // there was nothing to look at
		p.out.ended = true
		return nil, true
	}
	if !bytes.HasPrefix(b, p.n) {
		if len(b) >= len(p.n) {
			p.fail("not understood: %s", quoted(b))
		}
		return b, false
	}
	body := b[len(p.n):]
	if string(body) == "end\x00" {
		p.out.ended = true
		return nil, true
	}
	end := bytes.Index(body, append([]byte("\n"), p.n...))
	if end < 0 {
		return b, false
	}
	p.stat(string(body[:end]))
	return body[end+1:], true
}

func (p *lookParser) stat(text string) {
	kind, text, _ := strings.Cut(text, " ")
	if kind == "l" {
		name, target, _ := strings.Cut(text, "\x00")
		name = strings.TrimPrefix(name, "./")
		if e := p.out.there[name]; e != nil && e.Kind == Link {
			e.Target = target
		}
		return
	}
	f := strings.SplitN(text, " ", 9)
	if len(f) != 9 {
		p.fail("not understood: %s", quoted([]byte(text)))
		return
	}
	mode, err := strconv.ParseUint(f[0], 16, 32)
	e := &Entry{Mode: uint32(mode) & 0o7777, Kind: kindOf(uint32(mode)), Owner: f[3], Group: f[4], id: f[6]}
	p.numbers(e, err, f[1], f[2], f[5], f[7])
	p.entry(e, f[8])
}

// kindOf takes the type out of st_mode (POSIX.1-2017, sys/stat.h; the numbers
// are those of all systems in use).
func kindOf(mode uint32) Kind {
	switch mode & 0o170000 {
	case 0o100000:
		return File
	case 0o040000:
		return Folder
	case 0o120000:
		return Link
	}
	return Other
}
