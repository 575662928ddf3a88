package remote

import (
	"regexp"
	"strings"
)

// Become says whom the command is run as, and how the host makes it so. The
// supervisor runs as that user, too, so that it may end what the user started.
type Become struct {
	Method Method
	User   string // whose name begins with no hyphen
	// Password says that one can be given when the host asks.
	Password bool
}

// Method is a program that makes one user another.
type Method string

const (
	Sudo Method = "sudo"
	Su   Method = "su"
	Doas Method = "doas"
)

// Methods are those that there are.
var Methods = []Method{Sudo, Su, Doas}

// become runs the supervisor as another user. Arguments as those of the script,
// but that $9 is the user, ${10} the script and ${11} what its guard evaluates. LC_ALL is for what the program
// says, and is as before for the command (flag c).
//
// With a password sudo reads it from the standard input (-S), which then is the
// lifeline again, and asks in our words where PAM asks for a password (-p would
// have it ask so for all that PAM wants, as for a second factor); -k has it ask
// even where it would not, so that the password can never be taken for input of
// the command. Where sudo needs none it does not ask. sudo-rs puts our words into
// its own, "[sudo: fleet-NONCE ask:] Password: ", and has only its own before
// version 0.2.5. What ends in "assword: " is the question of those that have no
// words of ours. doas asks on a terminal only.
const become = `
_m=fleet-$3
command -v METHOD >/dev/null 2>&1 || { echo "$_m none" >&2; exit 127; }
_k=
case $4 in
*p*) _k=$(id -u) ;;
esac
_x=${LC_ALL-}
LC_ALL=C
export LC_ALL
echo "$_m become" >&2
`

// ourWords are for the questions of sudo.
const ourWords = `
SUDO_PROMPT="$_m ask:"
export SUDO_PROMPT
`

// as are the arguments of the programs, before those of the script.
var as = map[Method][2]string{
	Sudo: {`sudo -n -u "$9" -- /bin/sh -c "$0" `, `sudo -k -S -u "$9" -- /bin/sh -c "$0" `},
	Su:   {`su -s /bin/sh -c "$0" -- "$9" `, `su -s /bin/sh -c "$0" -- "$9" `},
	Doas: {`doas -n -u "$9" /bin/sh -c "$0" `, `doas -u "$9" /bin/sh -c "$0" `},
}

// suOnTerminal hands the words for the shell on in place of -c, with which su makes a
// session of its own that has no terminal.
const suOnTerminal = `su -s /bin/sh -- "$9" -c "$0" `

// script is what becomes the user; tty says that the command has a terminal.
func (b *Become) script(tty bool) string {
	which, text := 0, strings.ReplaceAll(become, "METHOD", string(b.Method))
	if b.Password {
		which = 1
		if b.Method == Sudo {
			text += ourWords
		}
	}
	how := as[b.Method][which]
	if tty && b.Method == Su {
		how = suOnTerminal
	}
	return pack(text) + "; exec " + how + `"$0" "$1" "${10}" $3 ${4}c $5 "$6" "$7" "$8" $$ $PPID "$_x" "${11}" "$_k"`
}

// NeedsTerminal says that the program asks for a password on a terminal only.
func (b *Become) NeedsTerminal() bool { return b.Method == Doas && b.Password }

// question is how su, doas, sudo-rs and PAM ask for a password: "Password: "
// (pam_unix), "LDAP Password: ", "doas (user@host) password: ".
var question = regexp.MustCompile(`(?i)password[^\n]*: ?$`)

// once is how PAM asks for a password that is good once, which ours is not:
// "One-time password (OATH) for `ann': ".
var once = regexp.MustCompile(`(?i)one[- ]?time[^\n]*$`)

// What the programs say, with LC_ALL=C.
var (
	saysNoTerminal = regexp.MustCompile(`must have a tty|tty is required|must be run from a terminal|terminal is required|no tty present`)
	saysWrong      = regexp.MustCompile(`(?i)try again|incorrect password|authentication fail|auth could not identify password|incorrect authentication`)
	saysAsks       = regexp.MustCompile(`(?i)password is required|authentication (is )?required|interaction (is )?required`)
)

// Denial is why a user could not be become.
type Denial string

const (
	DeniedMissing  Denial = "missing"     // the program is not there
	DeniedTerminal Denial = "terminal"    // the program wants a terminal
	DeniedPassword Denial = "password"    // the password that was given is wrong
	DeniedAsks     Denial = "asks"        // the program wants a password, and there is none
	DeniedMore     Denial = "more"        // the program asks for something that is no password, see Follower.Question
	DeniedOther    Denial = "not allowed" // the program said so, or something else
)

// Denied says why the user could not be become. given says that a password was
// sent.
func (f *Follower) Denied(given bool) Denial {
	said := f.Said()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.refuse == NoMethod:
		return DeniedMissing
	case given && f.asked > 1 && (f.owns < 2 || f.inOthers) && !saysWrong.Match(said):
		return DeniedMore // a question of another kind; sudo asks again in our words for the same
	case given && (f.asked > 1 || saysWrong.Match(said)):
		return DeniedPassword
	case saysNoTerminal.Match(said):
		return DeniedTerminal
	case f.asked > 0 && !given, saysAsks.Match(said):
		return DeniedAsks
	}
	return DeniedOther
}
