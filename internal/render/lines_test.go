package render

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

type marked struct{}

func (marked) appendLine(dst, line []byte) []byte {
	return append(append(append(dst, '<'), line...), ">\n"...)
}

// linesOf sends data cut at random, at most most bytes at once.
func linesOf(r *rand.Rand, data []byte, most int) string {
	var s stream
	var out []byte
	for len(data) > 0 {
		k := min(1+r.IntN(most), len(data))
		out = s.add(out, data[:k], marked{})
		data = data[k:]
	}
	return string(s.flush(out, marked{}))
}

func TestLines(t *testing.T) {
	long := strings.Repeat("x", pieceMax)
	wide := strings.Repeat("é", pieceMax/2+10) // ends of pieces fall between characters
	odd := "a" + wide                          // and within them
	half := pieceMax / 2
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"one", "a\n", "<a>\n"},
		{"no end", "a\nb", "<a>\n<b>\n"},
		{"empty lines", "\n\na\n\n", "<>\n<>\n<a>\n<>\n"},
		{"a full piece", long + "\n", "<" + long + ">\n"},
		{"a full piece without end", long, "<" + long + ">\n"},
		{"a long line", long + long + "y\nz\n", "<" + long + ">\n<" + long + ">\n<y>\n<z>\n"},
		{"wide", wide + "\n", "<" + wide[:pieceMax] + ">\n<" + wide[pieceMax:] + ">\n"},
		{"wide and odd", odd + "\n", "<" + odd[:pieceMax-1] + ">\n<" + odd[pieceMax-1:] + ">\n"},
		{"no text", strings.Repeat("\xe2", pieceMax+half), "<" + strings.Repeat("\xe2", pieceMax-1) + ">\n<" + strings.Repeat("\xe2", half+1) + ">\n"},
	} {
		r := rand.New(rand.NewPCG(1, 1))
		for _, most := range []int{1, 7, 1000, pieceMax - 1, pieceMax, pieceMax + 1, 1 << 20} {
			if got := linesOf(r, []byte(c.in), most); got != c.want {
				t.Errorf("%s, cut at %d: %d bytes, want %d; differs at %d", c.name, most, len(got), len(c.want), differAt(got, c.want))
			}
		}
	}
}

func differAt(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestLinesHoldNoMoreThanAPiece(t *testing.T) {
	var s stream
	for range 100 {
		s.add(nil, bytes.Repeat([]byte("x"), 50_000), marked{})
		if cap(s.part) > 3*pieceMax {
			t.Fatalf("%d bytes held back", cap(s.part))
		}
	}
}

func TestIncomplete(t *testing.T) {
	for in, want := range map[string]int{
		"": 0, "a": 0, "é": 0, "\xc3": 1, "a\xe2\x80": 2, "\xf0\x9f\x98": 3, "😀": 0, "\x80\x80\x80": 0,
		"\xff": 0, "\xc0": 0, "\xe2a": 0, "\xf0\x9f\x98\x80\x80": 0,
	} {
		if got := incomplete([]byte(in)); got != want {
			t.Errorf("incomplete(%q) = %d, want %d", in, got, want)
		}
	}
}
