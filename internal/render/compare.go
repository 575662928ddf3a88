package render

import (
	"bufio"
	"bytes"

	"github.com/rogpeppe/go-internal/diff"
)

// Apply gives text with what the mask covers replaced; host is whose text it is.
// A nil Mask gives text itself.
func (m *Mask) Apply(text []byte, host string) []byte {
	if m == nil {
		return text
	}
	return m.masked(text, m.names(host, nil))
}

// Unified is the unified difference of two texts under their names, empty for
// equal ones. For a terminal it is made safe and cut after some hundred lines.
func Unified(oldName, newName string, a, b []byte, terminal, color bool) []byte {
	if bytes.Equal(a, b) {
		return nil
	}
	g := &group{}
	g.o = Options{OutTerminal: terminal, Color: color}
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	g.unified(w, diff.Diff(oldName, a, newName, b))
	w.Flush()
	return out.Bytes()
}
