package inventory

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

// maxName is the longest host or group name: names become file names.
const maxName = 255

// checkName says what is wrong with a host's or group's name, or "". Names end
// up on command lines, in file names and on terminals, so they hold letters,
// digits and . _ - : only, and begin with neither - nor a dot.
func checkName(name string) string {
	switch {
	case name == "":
		return "empty name"
	case len(name) > maxName:
		return fmt.Sprintf("name of %d bytes, the limit is %d", len(name), maxName)
	case name[0] == '-':
		return fmt.Sprintf("name %q starts with a dash", abbreviate(name))
	case name[0] == '.':
		return fmt.Sprintf("name %q starts with a dot", abbreviate(name))
	}
	return checkRunes("name", name, "._-:")
}

// checkAddress is checkName for what is connected to: host names, IPv4 and
// IPv6 addresses, the latter also with a zone.
func checkAddress(address string) string {
	switch {
	case address == "":
		return "empty address"
	case len(address) > maxName:
		return fmt.Sprintf("address of %d bytes, the limit is %d", len(address), maxName)
	case address[0] == '-':
		return fmt.Sprintf("address %q starts with a dash", abbreviate(address))
	}
	return checkRunes("address", address, "._-:%")
}

// bareIPv6 takes the brackets from [::1], which are not a range.
func bareIPv6(address string) (string, bool) {
	inner, ok := strings.CutPrefix(address, "[")
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, "]")
	if !ok {
		return "", false
	}
	ip, err := netip.ParseAddr(inner)
	return inner, err == nil && ip.Is6()
}

// checkUser refuses what OpenSSH refuses in user names, and spaces.
func checkUser(what, user string) string {
	switch {
	case user == "":
		return "empty " + what
	case user[0] == '-':
		return fmt.Sprintf("%s %q starts with a dash", what, abbreviate(user))
	}
	for _, r := range user {
		if msg := checkPrintable(what, user, r); msg != "" {
			return msg
		}
		if r == ' ' || strings.ContainsRune("'`\";&<>|(){}$", r) {
			return fmt.Sprintf("%s %q holds %q", what, abbreviate(user), r)
		}
	}
	return ""
}

// checkText refuses empty text and control characters.
func checkText(what, text string) string {
	if text == "" {
		return "empty " + what
	}
	for _, r := range text {
		if msg := checkPrintable(what, text, r); msg != "" {
			return msg
		}
	}
	return ""
}

func checkPrintable(what, text string, r rune) string {
	switch {
	case r == unicode.ReplacementChar:
		return fmt.Sprintf("%s %q is not UTF-8", what, abbreviate(text))
	case !unicode.IsPrint(r):
		return fmt.Sprintf("%s %q holds the control character %q", what, abbreviate(text), r)
	}
	return ""
}

func checkRunes(what, text, signs string) string {
	for _, r := range text {
		if unicode.IsLetter(r) || '0' <= r && r <= '9' || strings.ContainsRune(signs, r) {
			continue
		}
		if msg := checkPrintable(what, text, r); msg != "" {
			return msg
		}
		return fmt.Sprintf("%s %q holds %q", what, abbreviate(text), r)
	}
	return ""
}

// jumpPassword is said of a jump host's user with a colon, without what stands
// there: most likely it is a password.
const jumpPassword = "the user of a jump host holds a colon; a password has no place in an inventory"

// checkJump says what is wrong with one [user@]host[:port], or "".
func checkJump(hop string) string {
	rest := strings.TrimPrefix(hop, "ssh://")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		if strings.Contains(rest[:at], ":") {
			return jumpPassword
		}
		if msg := checkUser("jump user", rest[:at]); msg != "" {
			return msg
		}
		rest = rest[at+1:]
	}
	if end := strings.LastIndexByte(rest, ']'); strings.HasPrefix(rest, "[") && end > 0 {
		inner, ok := bareIPv6(rest[:end+1])
		if !ok {
			return fmt.Sprintf("jump host %q: no IPv6 address in the brackets", abbreviate(hop))
		}
		rest = inner + rest[end+1:]
	}
	if rest == "" || rest[0] == '-' {
		return fmt.Sprintf("jump host %q has no host name", abbreviate(hop))
	}
	return checkRunes("jump host", rest, "._-:%")
}

// checkHostKey wants a fingerprint, or a key as known_hosts has it.
func checkHostKey(what, text string) string {
	if msg := checkText(what, text); msg != "" {
		return msg
	}
	if strings.HasPrefix(text, "SHA256:") {
		return ""
	}
	words := strings.Fields(text)
	if len(words) >= 2 {
		if _, err := base64.StdEncoding.DecodeString(words[1]); err == nil {
			return ""
		}
	}
	return fmt.Sprintf("%s %q is neither TYPE BASE64 nor SHA256:...", what, abbreviate(text))
}
