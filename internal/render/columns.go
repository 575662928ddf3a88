package render

import "github.com/clipperhouse/displaywidth"

// columns is how wide a terminal shows s, which may be coloured.
func columns(s string) int { return displaywidth.Options{ControlSequences: true}.String(s) }

// cut shortens a line, which may be coloured, to at most n columns.
func cut(line string, n int) string {
	return displaywidth.Options{ControlSequences: true}.TruncateString(line, n, "…")
}

// Cut shortens a line, which holds no escape sequences, to at most n columns.
func Cut(line string, n int) string { return cut(line, n) }
