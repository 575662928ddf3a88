package remote

import (
	"bytes"
	"regexp"
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
// lifeline again, and asks in our words; -k has it ask even where it would not, so
// that the password can never be taken for input of the command. Where sudo needs
// none it does not ask. su has no such words: what ends in "assword: " is its
// question. doas asks on a terminal only.
const become = `
m=fleet-$3
command -v METHOD >/dev/null 2>&1 || { echo "$m none" >&2; exit 127; }
x=${LC_ALL-}
LC_ALL=C
export LC_ALL
echo "$m become" >&2
exec `

// as are the arguments of the programs, before those of the script.
var as = map[Method][2]string{
	Sudo: {`sudo -n -u "$9" -- /bin/sh -c "$0" `, `sudo -k -S -p "$m ask:" -u "$9" -- /bin/sh -c "$0" `},
	Su:   {`su -s /bin/sh -c "$0" -- "$9" `, `su -s /bin/sh -c "$0" -- "$9" `},
	Doas: {`doas -n -u "$9" /bin/sh -c "$0" `, `doas -u "$9" /bin/sh -c "$0" `},
}

// script is what becomes the user.
func (b *Become) script() string {
	which := 0
	if b.Password {
		which = 1
	}
	return pack(string(bytes.ReplaceAll([]byte(become), []byte("METHOD"), []byte(b.Method)))) + " " +
		as[b.Method][which] + `"$0" "$1" "${10}" $3 ${4}c $5 "$6" "$7" "$8" $$ $PPID "$x" "${11}"`
}

// NeedsTerminal says that the program asks for a password on a terminal only.
func (b *Become) NeedsTerminal() bool { return b.Method == Doas && b.Password }

// question is how su and doas ask for a password: "Password: " (pam_unix), "doas
// (user@host) password: ".
var question = regexp.MustCompile(`(?i)password[^\n]*: ?$`)

// What the programs say, with LC_ALL=C.
var (
	saysNoTerminal = regexp.MustCompile(`must have a tty|tty is required|must be run from a terminal|terminal is required|no tty present`)
	saysWrong      = regexp.MustCompile(`(?i)try again|incorrect password|authentication fail|auth could not identify password|incorrect authentication`)
	saysAsks       = regexp.MustCompile(`password is required|interactive authentication is required|(?i)authentication required`)
)

// Denial is why a user could not be become.
type Denial string

const (
	DeniedMissing  Denial = "missing"     // the program is not there
	DeniedTerminal Denial = "terminal"    // the program wants a terminal
	DeniedPassword Denial = "password"    // the password that was given is wrong
	DeniedAsks     Denial = "asks"        // the program wants a password, and there is none
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
	case given && (f.asked > 1 || saysWrong.Match(said)):
		return DeniedPassword
	case saysNoTerminal.Match(said):
		return DeniedTerminal
	case f.asked > 0 && !given, saysAsks.Match(said):
		return DeniedAsks
	}
	return DeniedOther
}
