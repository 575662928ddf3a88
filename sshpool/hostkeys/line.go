package hostkeys

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Marker says what a line's key is used for; see sshd(8).
type Marker string

const (
	NoMarker  Marker = ""                // the host's own key
	Authority Marker = "@cert-authority" // signs certificates of the hosts
	Revoked   Marker = "@revoked"        // never to be accepted
)

// line is one good line of a file. Its strings are parts of the file's text.
type line struct {
	hosts  string // as in the file: names, or one hashed name
	key    string // base64
	marker Marker
	kind   string // key type
	file   int32  // in Index.files
	num    int32  // from 1
	same   int32  // the next line whose key has the same sum, or -1
}

// keyDSA is a key type that old files hold; no key of it is accepted.
const keyDSA = "ssh-dss"

var errBlank = errors.New("blank")

// parseLine splits one line, without its end, and checks it as far as is cheap:
// marker, hashed name, key type, base64, and that the key holds the fields that
// its type has. It gives the key's wire form in buf's memory where it fits.
// Blank lines and comments are errBlank.
func parseLine(text string, buf []byte) (l line, blob []byte, err error) {
	text = strings.TrimSuffix(text, "\r")
	text = skipSpace(text)
	if text == "" || text[0] == '#' {
		return l, nil, errBlank
	}
	if text[0] == '@' {
		var word string
		word, text = nextField(text)
		switch l.marker = Marker(word); l.marker {
		case Authority, Revoked:
		default:
			return l, nil, fmt.Errorf("unknown marker %q", clip(word))
		}
	}
	l.hosts, text = nextField(text)
	if strings.HasPrefix(l.hosts, "@") {
		return l, nil, fmt.Errorf("second marker %q", clip(l.hosts))
	}
	l.kind, text = nextField(text)
	l.key, _ = nextField(text)
	switch {
	case l.hosts == "":
		return l, nil, errors.New("names are missing")
	case l.kind == "" || l.kind[0] == '#':
		return l, nil, errors.New("key type is missing")
	case l.key == "":
		return l, nil, errors.New("key is missing")
	}
	blob, err = decodeKey(l.kind, l.key, buf)
	return l, blob, err
}

// decodeKey gives the wire form of a base64 key after checking its shape.
func decodeKey(kind, key string, buf []byte) ([]byte, error) {
	n := base64.StdEncoding.DecodedLen(len(key))
	if n > cap(buf) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	n, err := base64.StdEncoding.Decode(buf, []byte(key))
	if err != nil {
		return nil, errors.New("key is not base64")
	}
	blob := buf[:n]
	inner, rest, ok := wireString(blob)
	switch {
	case !ok:
		return nil, errors.New("key is cut short")
	case string(inner) != kind:
		return nil, fmt.Errorf("key type %q differs from the key's own %q", clip(kind), clip(string(inner)))
	}
	return blob, checkShape(kind, rest)
}

// checkShape says whether body holds the fields of a key of that type, by
// RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4 and OpenSSH's
// PROTOCOL.u2f. It does no arithmetic: a point may still be off its curve.
func checkShape(kind string, body []byte) error {
	fields := 0
	first := -1 // length that the first field must have, -1 for any
	switch kind {
	case ssh.KeyAlgoED25519:
		fields, first = 1, 32
	case ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		fields = 2
	case ssh.KeyAlgoSKED25519:
		fields, first = 2, 32
	case ssh.KeyAlgoSKECDSA256:
		fields = 3
	case keyDSA:
		fields = 4
	case ssh.KeyAlgoMLDSA44, ssh.KeyAlgoMLDSA65, ssh.KeyAlgoMLDSA87:
		fields = 1
	default:
		return fmt.Errorf("unknown key type %q", clip(kind))
	}
	for i := range fields {
		field, rest, ok := wireString(body)
		if !ok || len(field) == 0 || i == 0 && first >= 0 && len(field) != first {
			return errors.New("key is cut short")
		}
		body = rest
	}
	if len(body) != 0 {
		return errors.New("key has trailing bytes")
	}
	return nil
}

// wireString splits off one string as RFC 4251 section 5 writes it.
func wireString(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// nextField splits text at the first run of spaces and tabs.
func nextField(text string) (field, rest string) {
	i := strings.IndexByte(text, ' ')
	if t := strings.IndexByte(text[:max(i, 0)], '\t'); i < 0 || t >= 0 {
		i = strings.IndexByte(text, '\t')
	}
	if i < 0 {
		return text, ""
	}
	return text[:i], skipSpace(text[i:])
}

func skipSpace(s string) string { return strings.TrimLeft(s, " \t") }

// clip keeps words from a file short in messages.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
