package remote

import (
	"strings"
	"sync"
)

// The scripts below are read by the host's /bin/sh: POSIX.1-2017 and no more, and
// no program but those of a minimal system (sleep, date; setsid, head, id and ls
// where they are needed; ps where there is no /proc). They hold no single quote and no
// backslash, and once packed no line break. Their variables:
//
//	_m  what a line of ours begins with: "fleet-" and the nonce
//	_c  the process that is, or becomes, the command; leader of its session
//	_r  the guard
//	_f  flags, see the constants in line.go
//	_g  grace between TERM and KILL, in seconds
//	_l  the process that the SSH server started, and _q its parent
//	_k  the number of the login user, where that may be another than the command's
//	_a  1 where somebody asked for the end
//	_v  the processes of the command that are alive, " 1 2 3 "; _h all that were seen
//	_S  the session of a command with a terminal
//
// A variable of the login's environment that had such a name would be changed for
// the command, too: so they begin with what names there hardly begin with.

// find sets _v to the processes of the command: those in the session or the group
// of _c, and what descends from c or from one that was seen before. With a terminal
// all that is in its session, too: there c leads none where it is another user's,
// and a shell there gives each job a group of its own. The guard and what it
// started are not among them, and neither are the dead that nobody has waited
// for (Z). Fields are those of proc(5) and ps(1).
const find = `
t() {
	_w=
	if [ -r /proc/self/stat ]; then
		for _x in /proc/[0-9]*/stat; do
			_y=
			while read -r _o; do
				_y="$_y $_o"
			done <$_x || continue
			_x=${_x#/proc/}
			set -- ${_y##*) }
			case ${1:-X} in
			Z|X) ;;
			*) _w="$_w ${_x%/stat}/$2/$3/$4" ;;
			esac
		done
	else
		set -- $(ps -A -o pid= -o ppid= -o pgid= -o stat=)
		while [ $# -gt 3 ]; do
			case $4 in
			Z*) ;;
			*) _w="$_w $1/$2/$3/$3" ;;
			esac
			shift 4
		done
	fi
	_v=" "
	_o=
	until [ "$_v" = "$_o" ]; do
		_o=$_v
		for _x in $_w; do
			_i=${_x%%/*}
			_y=${_x#*/}
			_p=${_y%%/*}
			_y=${_y#*/}
			case "$_v" in
			*" $_i "*) continue ;;
			esac
			case $_r in
			$_i|$_p) continue ;;
			esac
			case $_c in
			$_i|${_y#*/}|${_y%/*}) _v="$_v$_i " ;;
			*)
				case $_S/$_h/$_v in
				${_y#*/}/*|*/*" $_i "*/*|*/*" $_p "*) _v="$_v$_i " ;;
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
// and nobody asked (_a), there is nothing to end: what it left in the background
// is meant to stay. That is how most commands end, so it is seen without a look at
// all processes, which takes tens of milliseconds, and with a /proc before all this
// is read: the server waits for the guard's end to close the channel.
const end = `
b() {
	for _n in 1 2 3 4 5; do
		_y=
		for _x in $_v; do
			case " $_c $_u" in
			*" $_x "*) ;;
			*) _y="$_y $_x" ;;
			esac
		done
		[ -n "$_y" ] || break
		_u="$_u${_y# } "
		kill -STOP $_y
		t
	done
	_u=" "
}
k() {
	[ -n "$_a" ] || [ -d /proc/self ] || ps -p $_c || exit
	t
	case "$_a$_v" in
	1*|*" $_c "*) ;;
	*) exit ;;
	esac
	_s=
	_u=" "
	b
	_e=$(date +%s)
	_e=$((_e+_g+1))
	while [ "$_v" != " " ]; do
		_n=$(date +%s)
		if [ $_n -ge $_e ]; then
			if [ -z "$_s" ]; then
				b
				_s=" KILL"
				_e=$(date +%s)
			elif [ $_n -ge $((_e+3)) ]; then
				break
			fi
			kill -KILL $_v
		else
			_y=
			for _x in $_v; do
				case "$_h" in
				*" $_x "*) ;;
				*) _y="$_y $_x" ;;
				esac
			done
			if [ -n "$_y" ]; then
				_h="$_h${_y# } "
				kill -TERM $_y
				kill -CONT $_y
			fi
		fi
		sleep 0.1 || sleep 1
		t
	done
	echo "$_m end$_s$_v" >&4
	exit
}
`

// guard is evaluated by the guard when the standard input has told it to end the
// command, so that whoever starts one does not wait until a shell has read all
// this. Where the command has the standard input for itself, the guard looks once
// a second whether the login user asked for the end by making a folder of our name
// (see look.go; all users may read that name in a list of processes), whether the
// command is still there, and whether the SSH server's process is. Who gives such a command up closes its channel first, which may end
// the command before the folder is made: the guard stays for some seconds more.
const guard = `
if [ -r /proc/self/stat ]; then
	read -r _y </proc/self/stat
	_r=${_y%% *}
	case $_f in
	*t*)
		set -- ${_y##*) }
		_S=$4 ;;
	esac
else
	_r=$(exec sh -c "echo $""PPID")
fi
case $_f in
*p*)
	exec 3<&- 4>/dev/null
	_j=0
	while sleep 1; do
		for _x in /dev/shm /tmp /var/tmp; do
			[ -d "$_x/.$_m" ] || continue
			set -- $(ls -ldn "$_x/.$_m")
			case $1 in
			d*) [ "$3" != "${_k:=$(id -u)}" ] || { _a=1; k; } ;;
			esac
		done
		if [ -d /proc/self ]; then
			[ -d /proc/$_c ]
		else
			ps -p $_c
		fi || {
			_j=$((_j+1))
			[ $_j -lt 5 ] || exit
			continue
		}
		case $_f in
		*k*) continue ;;
		esac
		if [ -d /proc/self ]; then
			read -r _y </proc/$_l/stat || _y=
			set -- ${_y##*) }
			_y=$2
		else
			_y=$(ps -o ppid= -p $_l)
			_y=${_y##* }
		fi
		case $_y in
		""|$_q) ;;
		*) k ;;
		esac
	done ;;
*) k ;;
esac
`

// begin takes the arguments, and sees whether the command will lead a session of
// its own, so that whatever it starts can be told by that: it does where the shell
// leads one already, as under OpenSSH, and where setsid makes it one (_w) in the
// step in which the shell becomes the command. A shell that leads a group, which is
// so where there is a group of its number, cannot become that without another
// process, and stays what it is: so it is under a sudo with a terminal of its own
// (use_pty). $0 is the text that evaluates the script;
// $1 is the command, $2 the script and ${12} what the guard evaluates.
const begin = `
_m=fleet-$3 _f=$4 _g=$5 _d=$6 _b=$7 _n=$8 _l=$9 _q=${10} _k=${13}
case $_f in
*c*)
	unset SUDO_PROMPT
	LC_ALL=${11}
	[ -n "$LC_ALL" ] || unset LC_ALL ;;
esac
if [ -z "$_l" ]; then
	_l=$$ _q=$PPID
fi
_c=$$ _h=" " _r= _a= _w= _S=
case $_f in
*t*) ;;
*)
	if kill -0 -$$ 2>/dev/null; then
		:
	else
		for _w in /usr/bin/setsid /bin/setsid ""; do
			[ -x "$_w" ] && break
		done
		[ -n "$_w" ] || _w=$(command -v setsid)
	fi ;;
esac
`

// run reads the payload, starts the guard, which tells that the command's output
// begins, and becomes the command. The guard is nobody's child: a shell's "wait",
// or a program that waits for all its children, would else wait for it. The
// payload is read before, as only one of them can have the standard input; head
// may read further than it is told, so nothing else is sent until the command has
// begun. A payload without its end (see Spec.Sends) was cut off, as by the end of
// the connection, or has something else within it: a command that lacked a variable
// might do harm, so there is none. What the payload sets can be named as our variables are, so none of these
// is needed after it.
//
// SHLVL and -f keep bash and zsh from reading once more what the login shell has
// read: Debian's bash reads ~/.bashrc for a command that comes by SSH where SHLVL
// is below 2.
const run = `
case $_d in
"~") _d=$HOME ;;
"~/"*) _d=$HOME/${_d#??} ;;
esac
if [ -n "$_d" ]; then
	CDPATH= cd -- "$_d" 2>/dev/null || { echo "$_m cd" >&2; exit 1; }
fi
if [ -n "$_b" ]; then
	command -v "$_b" >/dev/null 2>&1 || { echo "$_m shell" >&2; exit 127; }
fi
exec 3<&0 4>&2
case $_f in
*p*) ;;
*) exec </dev/null ;;
esac
_z=
if [ -n "$_n" ]; then
	case $_f in
	*t*)
		_y=$(stty -g <&3)
		stty raw -echo <&3 ;;
	esac
	echo "$_m ready"
	_z=$(head -c $_n <&3)
	case $_f in
	*t*) stty "$_y" <&3 ;;
	esac
	case $_z in
	*"$_m") _z=${_z%"$_m"} ;;
	*) exit 1 ;;
	esac
fi
(
	trap "" HUP INT QUIT TERM PIPE USR1 USR2 ALRM TSTP TTIN TTOU
	{
		case $_f in
		*p*) ;;
		*) read -r _x <&3 || case $_f in
			*k*) exit ;;
			esac
			if [ -d /proc/self ]; then
				[ -d /proc/$_c ] || exit
			fi ;;
		esac
		eval "${12}"
	} </dev/null >/dev/null 2>&1 &
	echo "$_m $_c $!"
	case $_f in
	*[ty]*) ;;
	*) echo "$_m $_c $!" >&2 ;;
	esac
)
exec 3<&- 4>&-
set -- "$1" "${_b:-${SHELL:-/bin/sh}}" "$_w"
eval "$_z"
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
