package shell

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Keys reads what a terminal in raw mode sends, and gives what the line editor
// of golang.org/x/term can take: keys under the one code that it knows, nothing
// that it would stumble over. Pasted text (XTerm, bracketed paste mode) never
// ends a line, whatever it holds, so that nothing is run before Enter is
// pressed: its line breaks and tabs are shown as signs, see Typed. Read returns
// ErrInterrupt when Ctrl-C is pressed, and may be called again.
type Keys struct {
	r       io.Reader
	in, out []byte
	pasting bool
	broken  bool // the last that was pasted is a line break, not in out yet
	pressed bool // Ctrl-C, and what came before is in out
}

// NewKeys reads r, which should be a terminal in raw mode.
func NewKeys(r io.Reader) *Keys { return &Keys{r: r} }

// ErrInterrupt is what Read returns for Ctrl-C.
var ErrInterrupt = errors.New("interrupted")

// Signs for what cannot stand in the one line of the editor.
const (
	breakSign = '␤'
	tabSign   = '␉'
)

var (
	signs   = strings.NewReplacer("\n", string(breakSign), "\t", string(tabSign))
	unsigns = strings.NewReplacer(string(breakSign), "\n", string(tabSign), "\t")
)

// Typed is the line that the editor's line stands for.
func Typed(line string) string { return unsigns.Replace(line) }

// Shown is the editor's line for a line.
func Shown(line string) string { return signs.Replace(line) }

// Read implements io.Reader.
func (k *Keys) Read(p []byte) (int, error) {
	for len(k.out) == 0 {
		if k.pressed {
			k.pressed = false
			return 0, ErrInterrupt
		}
		before := len(k.in)
		if k.translate(); len(k.out) > 0 || k.pressed || len(k.in) < before {
			continue
		}
		buf := make([]byte, 256)
		n, err := k.r.Read(buf)
		k.in = append(k.in, buf[:n]...)
		if n == 0 && err != nil {
			return 0, err
		}
	}
	n := copy(p, k.out)
	k.out = k.out[n:]
	return n, nil
}

const (
	ctrlC     = 3
	escape    = 27
	backspace = 127
)

var (
	pasteBegin = []byte("\x1b[200~")
	pasteEnd   = []byte("\x1b[201~")
)

// translate moves whole keys from in to out, up to and without Ctrl-C.
func (k *Keys) translate() {
	for len(k.in) > 0 && !k.pressed {
		n := 0
		if k.pasting {
			n = k.pasted()
		} else {
			n = k.key()
		}
		if n == 0 {
			return // not whole yet
		}
		k.in = k.in[n:]
	}
}

// pasted takes one character of pasted text.
func (k *Keys) pasted() int {
	in := k.in
	switch {
	case bytes.HasPrefix(in, pasteEnd):
		// A line that was copied whole ends where Enter is still to be pressed.
		k.pasting, k.broken = false, false
		return len(pasteEnd)
	case bytes.HasPrefix(pasteEnd, in):
		return 0
	case bytes.HasPrefix(in, []byte("\r\n")):
		k.lineBreak()
		return 2
	case in[0] == '\r' && len(in) == 1:
		return 0
	case in[0] == '\r', in[0] == '\n':
		k.lineBreak()
		return 1
	case in[0] == '\t':
		k.text(tabSign)
		return 1
	}
	return k.character()
}

// character takes one character that stands for itself.
func (k *Keys) character() int {
	if !utf8.FullRune(k.in) {
		return 0
	}
	r, n := utf8.DecodeRune(k.in)
	switch {
	case r == utf8.RuneError, unicode.IsControl(r):
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		k.text('?') // invisible, or turns the direction of what follows
	default:
		k.text(r)
	}
	return n
}

func (k *Keys) text(r rune) {
	if k.broken {
		k.out = utf8.AppendRune(k.out, breakSign)
		k.broken = false
	}
	k.out = utf8.AppendRune(k.out, r)
}

func (k *Keys) lineBreak() {
	if k.broken {
		k.out = utf8.AppendRune(k.out, breakSign)
	}
	k.broken = true
}

// edits are the control characters that the editor acts upon, and Tab.
const edits = "\x01\x02\x04\x05\x06\x08\t\n\x0b\x0c\r\x0e\x10\x14\x15\x17\x7f"

// key takes one key.
func (k *Keys) key() int {
	switch c := k.in[0]; {
	case c == ctrlC:
		k.pressed = true
		return 1
	case c == escape:
		return k.sequence()
	case strings.IndexByte(edits, c) >= 0:
		k.out = append(k.out, c)
		return 1
	}
	return k.character()
}

// maxSequence bounds an escape sequence; nothing that terminals send is longer.
const maxSequence = 32

// sequence takes a key that comes as an escape sequence (ECMA-48, 5.4).
func (k *Keys) sequence() int {
	in := k.in
	switch {
	case len(in) == 1:
		return 0
	case in[1] == '[':
		for i := 2; i < len(in); i++ {
			if in[i] == ctrlC || in[i] == escape || i == maxSequence {
				return i // broken off
			}
			if in[i] >= 0x40 && in[i] <= 0x7e {
				k.control(in[:i+1])
				return i + 1
			}
		}
		return 0
	case in[1] == 'O':
		if len(in) == 2 {
			return 0
		}
		if in[2] >= 'A' && in[2] <= 'Z' {
			k.control([]byte{escape, '[', in[2]})
			return 3
		}
		return 2
	case in[1] == escape, in[1] == ctrlC:
		return 1
	}
	switch in[1] { // Alt and a key
	case 'b':
		k.out = append(k.out, "\x1b[1;3D"...)
	case 'f':
		k.out = append(k.out, "\x1b[1;3C"...)
	case backspace, 8:
		k.out = append(k.out, 0x17)
	}
	if in[1] >= utf8.RuneSelf {
		return 1
	}
	return 2
}

// control takes a control sequence that is whole.
func (k *Keys) control(seq []byte) {
	switch s := string(seq); s {
	case string(pasteBegin):
		k.pasting = true
	case "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[3~":
		k.out = append(k.out, s...)
	case "\x1b[1~", "\x1b[7~":
		k.out = append(k.out, "\x1b[H"...)
	case "\x1b[4~", "\x1b[8~":
		k.out = append(k.out, "\x1b[F"...)
	case "\x1b[1;3D", "\x1b[1;5D", "\x1b[1;9D":
		k.out = append(k.out, "\x1b[1;3D"...)
	case "\x1b[1;3C", "\x1b[1;5C", "\x1b[1;9C":
		k.out = append(k.out, "\x1b[1;3C"...)
	}
}
