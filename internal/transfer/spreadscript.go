package transfer

import (
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/tasks"
)

// What hosts run for each other is a few lines of sh, and ssh where there is one.

// servingScript tells what a host has for serving others: its ssh, and its own
// addresses, each behind the word inet.
const servingScript = `command -v ssh >/dev/null 2>&1 || { echo "ssh none"; exit 0; }
echo "ssh $(ssh -V 2>&1 | head -n 1)"
set -- $SSH_CONNECTION; echo "at $3"
{ ip -o addr show || { for a in $(hostname -I); do echo "inet $a"; done; } || ifconfig -a; } 2>/dev/null | head -c 32768
exit 0
`

// serving is what servingScript told.
type serving struct {
	version string // of ssh; "none"
	from    []string
}

// maxFrom is how many addresses of a host stand in a temporary key.
const maxFrom = 32

// readServing reads what servingScript writes. The addresses are those that the
// host may come from: of loopback only where it was reached by that.
func readServing(text string) serving {
	s := serving{version: "none"}
	seen := map[string]bool{}
	loopback := false
	add := func(word string) {
		word, _, _ = strings.Cut(strings.TrimPrefix(word, "addr:"), "/")
		a, err := netip.ParseAddr(word)
		if err != nil {
			return
		}
		a = a.Unmap().WithZone("")
		if a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsLoopback() && !loopback || seen[a.String()] || len(s.from) >= maxFrom {
			return
		}
		seen[a.String()] = true
		s.from = append(s.from, a.String())
	}
	for line := range strings.Lines(text) {
		w := strings.Fields(line)
		switch {
		case len(w) > 1 && w[0] == "ssh":
			s.version = strings.Join(w[1:], " ")
		case len(w) == 2 && w[0] == "at":
			a, err := netip.ParseAddr(w[1])
			loopback = err == nil && a.IsLoopback()
			add(w[1])
			add("127.0.0.1") // what it comes from at other addresses of loopback
			add("::1")
		default:
			for i := range len(w) - 1 {
				if w[i] == "inet" || w[i] == "inet6" {
					add(w[i+1])
				}
			}
		}
	}
	return s
}

// serveScript has ssh carry a file to another host. Its host key is given as a
// file that is there as long as ssh runs; nothing else is read of what is set up
// on the host, and nothing is asked. $1 is the nonce, $2 the file, $3 a line of
// known_hosts, $4 the algorithms of its key, $5 the user, $6 the port, $7 the
// address, $8 the command, $9 the public half of the only key to try; empty: any
// of the agent's.
const serveScript = `umask 077
[ -f "$2" ] && [ -r "$2" ] || { echo "no file"; exit 0; }
d=$(mktemp -d "${TMPDIR:-/tmp}/fleet-XXXXXXXX") || { echo "no folder"; exit 0; }
trap 'rm -rf "$d"' 0; trap 'exit 1' HUP INT TERM
printf '%s\n' "$3" >"$d/known" && printf '%s\n' "$9" >"$d/key.pub" || { echo "no folder"; exit 0; }
only=yes id=-i$d/key.pub
[ -n "$9" ] || only=no id=-oIdentityFile=none
ssh -F /dev/null -a -x -T -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile="$d/known" \
	-o GlobalKnownHostsFile=/dev/null -o HostKeyAlias=` + targetAlias + ` -o HostKeyAlgorithms="$4" -o CheckHostIP=no \
	-o PreferredAuthentications=publickey "$id" -o IdentitiesOnly=$only -o ControlPath=none -o ClearAllForwardings=yes \
	-o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o LogLevel=ERROR \
	-l "$5" -p "$6" -- "$7" "$8" <"$2" >/dev/null 2>"$d/said"
r=$?
head -c 4096 "$d/said" >&2
echo "code $r"
exit 0
`

// targetAlias is what the host that is served is called by ssh.
const targetAlias = "fleet-target"

// landScript is what receives, on the host that is served: as many bytes as the
// file has, into a folder that was made for them, whose name only who was told
// knows. When the file has its second name nobody can write to it any more.
const landScript = `umask 077; set -C; cd "$1" && head -c "$2" >part && mv part done`

// landCommand is landScript as a command.
func landCommand(stage string, size string) string {
	return "exec " + tasks.QuoteAll([]string{"/bin/sh", "-c", landScript, "fleet", stage, size})
}

// landingScript makes the folder that landScript writes to, and where $4 is not
// empty, has a temporary key stand in authorized_keys, as the first line: then it
// waits for a word. That may be "keep", for the file to get the name $3; anything
// else, and the end of the connection most of all, has all be as it was before.
// $1 is the nonce, $2 the folder, $4 and $5 the key's line before and after its
// time of expiry, which is so many seconds away as $6 says, on the host's clock.
const landingScript = `stage=$2 temp=$3 front=$4 rest=$5 life=$6 mark=fleet-spread-$1
umask 077
unset TZ
say() { printf '%s\n' "$*"; }
no() { say "no $1"; exit 0; }
d=$HOME/.ssh; f=$d/authorized_keys; new=$d/.fleet-keys-$1; lock=$d/.fleet-lock
staged= lent= made= dir= locked=
lock() {
	i=0
	until mkdir "$lock" 2>/dev/null; do
		[ -z "$(find "$lock" -prune -mmin +1 2>/dev/null)" ] || rmdir "$lock" 2>/dev/null # of a host that went down
		i=$((i + 1)); [ $i -le 10 ] || return 1
		sleep 1
	done
	locked=1
}
unlock() { [ -z "$locked" ] || rmdir "$lock"; locked=; }
longer() { [ $(($(wc -c <"$2") - $(wc -c <"$1"))) = $length ]; } # no disk was full
lend() {
	now=$(date +%s) || no date
	end=$(date -d "@$((now + life))" +%Y%m%d%H%M%S 2>/dev/null) || end=$(date -r "$((now + life))" +%Y%m%d%H%M%S 2>/dev/null) || no date
	line="$front,expiry-time=\"$end\",$rest $mark"
	length=$(($(printf '%s\n' "$line" | wc -c)))
	[ -d "$d" ] || { mkdir "$d" && dir=1; } || no home
	lock || no lock
	if [ -e "$f" ] || [ -L "$f" ]; then
		[ -f "$f" ] && [ ! -L "$f" ] && [ -O "$f" ] && [ -w "$f" ] && cp -p "$f" "$new" || no keys
		{ printf '%s\n' "$line" && cat "$f"; } >"$new" && longer "$f" "$new" || no keys
	else
		made=1
		printf '%s\n' "$line" >"$new" || no keys
	fi
	lent=1
	mv -f "$new" "$f" || no keys
	unlock
}
unlend() {
	[ -n "$lent" ] || return 0
	lent=
	lock # or without: it must go
	n=$(grep -nF "$mark" "$f" | head -n 1); n=${n%%:*}
	[ -n "$n" ] || return 0
	cp -p "$f" "$new" || return 1
	before=0; [ $n = 1 ] || before=$(($(head -n $((n - 1)) "$f" | wc -c)))
	if [ "$(sed -n "${n}p" "$f")" = "$line" ]; then
		{ [ $before = 0 ] || head -c $before "$f"; tail -c "+$((before + length + 1))" "$f"; } >"$new" && longer "$new" "$f" || return 1
	else
		grep -vF "$mark" "$f" >"$new"; [ $? -le 1 ] || return 1
	fi
	if [ -n "$made" ] && [ ! -s "$new" ]; then rm -f "$f"; else mv -f "$new" "$f" || return 1; fi
}
clean() {
	trap '' HUP INT TERM PIPE
	unlend || say left
	rm -f "$new"
	unlock
	[ -z "$dir" ] || rmdir "$d" 2>/dev/null
	[ -z "$staged" ] || rm -rf "$stage"
}
trap '' PIPE
trap clean 0; trap 'exit 1' HUP INT TERM
mkdir "$stage" || no stage
staged=1
[ -z "$front" ] || lend
say ready
word=
IFS= read -r word
unlend || { say left; lent=; }
[ "$word" != keep ] || ! mv -f "$stage/done" "$temp" || say kept
exit 0
`

// refusals say what landingScript could not do.
var refusals = map[string]string{
	"stage": "a folder for what arrives could not be made",
	"date":  "its date(1) can tell no time to come, when a temporary key would expire",
	"home":  "it has no ~/.ssh, and none could be made",
	"lock":  "its authorized_keys is being changed by somebody else",
	"keys":  "its authorized_keys is not the login user's own file",
}

// keyLife is how long a temporary key would be taken if it were left behind.
const keyLife = 2 * time.Minute

// keyLine is the line of a temporary key in authorized_keys, before and after its
// time of expiry: it runs that command and can do nothing else, and only for who
// comes from one of the addresses.
func keyLine(key ssh.PublicKey, from []string, command string) (front, rest string) {
	return `restrict,from="` + strings.Join(from, ",") + `"`,
		`command="` + strings.ReplaceAll(command, `"`, `\"`) + `" ` + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// plainKey is a key without the certificate around it.
func plainKey(k ssh.PublicKey) ssh.PublicKey {
	if cert, ok := k.(*ssh.Certificate); ok {
		return cert.Key
	}
	return k
}

// keyAlgorithms are those by which a host's key signs, as ssh calls them.
func keyAlgorithms(k ssh.PublicKey) string {
	if k.Type() == ssh.KeyAlgoRSA {
		return ssh.KeyAlgoRSASHA512 + "," + ssh.KeyAlgoRSASHA256
	}
	return k.Type()
}
