package remote

import (
	"strconv"
	"strings"
	"time"
)

// look waits for the guard to have done its work, then tells what is left of the
// command. Flag e asks the guard for that first, by a folder: it may be another
// user's, who takes no signal from us. Flag b says that the command is another
// user's: where these are hidden (proc(5), hidepid) there is no answer.
const look = `
_m=fleet-$2 _f=$3 _c=$4 _r=$5 _h=" " _S= _n=$6
case $_f in
*t*)
	if read -r _y </proc/$_r/stat; then
		set -- ${_y##*) }
		_S=$4
	fi 2>/dev/null ;;
esac
case $_f in
*e*)
	for _x in /dev/shm /tmp /var/tmp; do
		mkdir "$_x/.$_m" 2>/dev/null && break
		_x=
	done ;;
*) _x= ;;
esac
_e=$(date +%s)
_e=$((_e+_n))
while [ $_r -gt 1 ]; do
	if [ -d /proc/self ]; then
		[ -d /proc/$_r ] || break
	else
		ps -p $_r >/dev/null || break
	fi
	[ $(date +%s) -lt $_e ] || break
	sleep 0.1 2>/dev/null || sleep 1
done
[ -z "$_x" ] || rmdir "$_x/.$_m"
case $_f in
*b*)
	[ -d /proc/1 ] || [ ! -d /proc/self ] || exit ;;
esac
t 2>/dev/null
echo "$_m end$_v"
`

const lookPrefix = `exec /bin/sh -c 'eval "$1"' fleet `

// Look is what is sent, beside a command that was sent with nonce, to learn what
// is left of it. The guard of a command that has the standard input is asked to end
// it first. The answer comes within about limit.
func Look(s *Spec, nonce string, is Began, limit time.Duration) string {
	flags := "-"
	if s.polled() {
		flags += "e"
	}
	if s.TTY {
		flags += "t"
	}
	if s.Become != nil {
		flags += "b"
	}
	return lookPrefix + words(pack(find+look), nonce, flags,
		strconv.Itoa(is.PID), strconv.Itoa(is.Guard), seconds(limit))
}

// ParseLook reads what Look made: which command is asked for, and whether it is to
// be ended; ok says that Look did.
func ParseLook(line string) (s Sent, end, ok bool) {
	if !strings.HasPrefix(line, lookPrefix) {
		return s, false, false
	}
	list, ok := unquote(line)
	if !ok || len(list) != 11 || list[4] != "fleet" || list[5] != pack(find+look) {
		return s, false, false
	}
	return Sent{Nonce: list[6]}, strings.Contains(list[7], "e"), true
}

// ReadLook finds the answer to Look in the output; nil if there is none.
func ReadLook(nonce string, out []byte) *Report {
	mark := "fleet-" + nonce + " end"
	i := strings.LastIndex(string(out), mark)
	if i < 0 {
		return nil
	}
	line, _, whole := strings.Cut(string(out[i+len(mark):]), "\n")
	if !whole {
		return nil
	}
	return parseReport(strings.Fields(line))
}
