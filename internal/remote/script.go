package remote

import (
	"strings"
	"sync"
)

// The scripts below are read by the host's /bin/sh: POSIX.1-2017 and no more, and
// no program but those of a minimal system (sleep, date; setsid and head where
// they are needed; ps where there is no /proc). They hold no single quote and no
// backslash, and once packed no line break. Their variables:
//
//	m  what a line of ours begins with: "fleet-" and the nonce
//	c  the process that is, or becomes, the command; leader of its session
//	r  the guard
//	f  flags, see the constants in line.go
//	g  grace between TERM and KILL, in seconds
//	l  the process that the SSH server started, and q its parent
//	a  1 where somebody asked for the end
//	v  the processes of the command that are alive, " 1 2 3 "; h all that were seen
//	S  the session of a command with a terminal

// find sets v to the processes of the command: those in the session or the group
// of c, and what descends from c or from one that was seen before. With a terminal
// all that is in its session, too: there c leads none where it is another user's,
// and a shell there gives each job a group of its own. The guard and what it
// started are not among them, and neither are the dead that nobody has waited
// for (Z). Fields are those of proc(5) and ps(1).
const find = `
t() {
	w=
	if [ -r /proc/self/stat ]; then
		for x in /proc/[0-9]*/stat; do
			y=
			while read -r o; do
				y="$y $o"
			done <$x || continue
			x=${x#/proc/}
			set -- ${y##*) }
			case ${1:-X} in
			Z|X) ;;
			*) w="$w ${x%/stat}/$2/$3/$4" ;;
			esac
		done
	else
		set -- $(ps -A -o pid= -o ppid= -o pgid= -o stat=)
		while [ $# -gt 3 ]; do
			case $4 in
			Z*) ;;
			*) w="$w $1/$2/$3/$3" ;;
			esac
			shift 4
		done
	fi
	v=" "
	o=
	until [ "$v" = "$o" ]; do
		o=$v
		for x in $w; do
			i=${x%%/*}
			y=${x#*/}
			p=${y%%/*}
			y=${y#*/}
			case "$v" in
			*" $i "*) continue ;;
			esac
			case $r in
			$i|$p) continue ;;
			esac
			case $c in
			$i|${y#*/}|${y%/*}) v="$v$i " ;;
			*)
				case $S/$h/$v in
				${y#*/}/*|*/*" $i "*/*|*/*" $p "*) v="$v$i " ;;
				esac ;;
			esac
		done
	done
}
`

// end ends the command and tells how that went. Before each of the two blows all
// but the leader are stopped until none is new, so that none gets away by a fork
// at the last moment; the leader is not, as sudo and su stop with their child.
// What comes up later is told to end once, too. KILL has three seconds, from when it
// was sent: on a busy host a look at all processes takes its time. Where the command is over already,
// and nobody asked (a), there is nothing to end: what it left in the background
// is meant to stay. That is how most commands end, so it is seen without a look at
// all processes, which takes tens of milliseconds, and with a /proc before all this
// is read: the server waits for the guard's end to close the channel.
const end = `
b() {
	for n in 1 2 3 4 5; do
		y=
		for x in $v; do
			case " $c $u" in
			*" $x "*) ;;
			*) y="$y $x" ;;
			esac
		done
		[ -n "$y" ] || break
		u="$u${y# } "
		kill -STOP $y
		t
	done
	u=" "
}
k() {
	[ -n "$a" ] || [ -d /proc/self ] || ps -p $c || exit
	t
	case "$a$v" in
	1*|*" $c "*) ;;
	*) exit ;;
	esac
	s=
	u=" "
	b
	e=$(date +%s)
	e=$((e+g+1))
	while [ "$v" != " " ]; do
		n=$(date +%s)
		if [ $n -ge $e ]; then
			if [ -z "$s" ]; then
				b
				s=" KILL"
				e=$(date +%s)
			elif [ $n -ge $((e+3)) ]; then
				break
			fi
			kill -KILL $v
		else
			y=
			for x in $v; do
				case "$h" in
				*" $x "*) ;;
				*) y="$y $x" ;;
				esac
			done
			if [ -n "$y" ]; then
				h="$h${y# } "
				kill -TERM $y
				kill -CONT $y
			fi
		fi
		sleep 0.1 || sleep 1
		t
	done
	echo "$m end$s$v" >&4
	exit
}
`

// guard is evaluated by the guard when the standard input has told it to end the
// command, so that whoever starts one does not wait until a shell has read all
// this. Where the command has the standard input for itself, the guard looks once
// a second whether somebody asked for the end by making a folder of our name (see
// look.go), whether the command is still there, and whether the SSH server's
// process is. Who gives such a command up closes its channel first, which may end
// the command before the folder is made: the guard stays for some seconds more.
const guard = `
if [ -r /proc/self/stat ]; then
	read -r y </proc/self/stat
	r=${y%% *}
	case $f in
	*t*)
		set -- ${y##*) }
		S=$4 ;;
	esac
else
	r=$(exec sh -c "echo $""PPID")
fi
case $f in
*p*)
	exec 3<&- 4>/dev/null
	j=0
	while sleep 1; do
		for x in /dev/shm /tmp /var/tmp; do
			[ -d "$x/.$m" ] && a=1 && k
		done
		if [ -d /proc/self ]; then
			[ -d /proc/$c ]
		else
			ps -p $c
		fi || {
			j=$((j+1))
			[ $j -lt 5 ] || exit
			continue
		}
		case $f in
		*k*) continue ;;
		esac
		if [ -d /proc/self ]; then
			read -r y </proc/$l/stat || y=
			set -- ${y##*) }
			y=$2
		else
			y=$(ps -o ppid= -p $l)
			y=${y##* }
		fi
		case $y in
		""|$q) ;;
		*) k ;;
		esac
	done ;;
*) k ;;
esac
`

// begin takes the arguments, and sees whether the command will lead a session of
// its own, so that whatever it starts can be told by that: it does where the shell
// leads one already, as under OpenSSH, and where setsid makes it one (w) in the
// step in which the shell becomes the command. A shell that leads a group, which is
// so where there is a group of its number, cannot become that without another
// process, and stays what it is: so it is under a sudo with a terminal of its own
// (use_pty). $0 is the text that evaluates the script;
// $1 is the command, $2 the script and ${12} what the guard evaluates.
const begin = `
m=fleet-$3 f=$4 g=$5 d=$6 b=$7 n=$8 l=$9 q=${10}
case $f in
*c*)
	unset SUDO_PROMPT
	LC_ALL=${11}
	[ -n "$LC_ALL" ] || unset LC_ALL ;;
esac
if [ -z "$l" ]; then
	l=$$ q=$PPID
fi
c=$$ h=" " r= a= w= S=
case $f in
*t*) ;;
*)
	if kill -0 -$$ 2>/dev/null; then
		:
	else
		for w in /usr/bin/setsid /bin/setsid ""; do
			[ -x "$w" ] && break
		done
		[ -n "$w" ] || w=$(command -v setsid)
	fi ;;
esac
`

// run reads the payload, starts the guard, which tells that the command's output
// begins, and becomes the command. The guard is nobody's child: a shell's "wait",
// or a program that waits for all its children, would else wait for it. The
// payload is read before, as only one of them can have the standard input; head
// may read further than it is told, so nothing else is sent until the command has
// begun. What the payload sets can be named as our variables are, so none of these
// is needed after it.
//
// SHLVL and -f keep bash and zsh from reading once more what the login shell has
// read: Debian's bash reads ~/.bashrc for a command that comes by SSH where SHLVL
// is below 2.
const run = `
case $d in
"~") d=$HOME ;;
"~/"*) d=$HOME/${d#??} ;;
esac
if [ -n "$d" ]; then
	cd -- "$d" 2>/dev/null || { echo "$m cd" >&2; exit 1; }
fi
if [ -n "$b" ]; then
	command -v "$b" >/dev/null 2>&1 || { echo "$m shell" >&2; exit 127; }
fi
exec 3<&0 4>&2
case $f in
*p*) ;;
*) exec </dev/null ;;
esac
z=
if [ -n "$n" ]; then
	case $f in
	*t*)
		y=$(stty -g <&3)
		stty raw -echo <&3 ;;
	esac
	echo "$m ready"
	z=$(head -c $n <&3; echo .)
	z=${z%.}
	case $f in
	*t*) stty "$y" <&3 ;;
	esac
fi
(
	trap "" HUP INT QUIT TERM PIPE USR1 USR2 ALRM TSTP TTIN TTOU
	{
		case $f in
		*p*) ;;
		*) read -r x <&3 || case $f in
			*k*) exit ;;
			esac
			if [ -d /proc/self ]; then
				[ -d /proc/$c ] || exit
			fi ;;
		esac
		eval "${12}"
	} </dev/null >/dev/null 2>&1 &
	echo "$m $c $!"
	case $f in
	*[ty]*) ;;
	*) echo "$m $c $!" >&2 ;;
	esac
)
exec 3<&- 4>&-
set -- "$1" "${b:-${SHELL:-/bin/sh}}" "$w"
eval "$z"
case $2 in
*/bash) SHLVL=1; export SHLVL ;;
*/zsh) exec ${3:+"$3"} "$2" -f -c "$1" ;;
esac
exec ${3:+"$3"} "$2" -c "$1"
`

// supervisor is the script, and watch what the guard evaluates, each on one line.
var (
	supervisor = sync.OnceValue(func() string { return pack(begin + run) })
	watch      = sync.OnceValue(func() string { return pack(find + end + guard) })
)

// pack makes one line of a script that was written for people: no comments, no
// here-documents, and each line a whole command or a part of a compound one.
func pack(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		b.WriteString(line)
		switch {
		case strings.HasSuffix(line, ";;"), strings.HasSuffix(line, "{"), strings.HasSuffix(line, "do"), strings.HasSuffix(line, "then"),
			strings.HasSuffix(line, "else"), strings.HasSuffix(line, " in"), strings.HasSuffix(line, "("), strings.HasSuffix(line, "&"),
			strings.HasSuffix(line, ")") && line != ")" && !strings.Contains(line, "$("): // of a case
			b.WriteByte(' ')
		default:
			b.WriteByte(';')
		}
	}
	return strings.TrimRight(b.String(), "; ")
}
