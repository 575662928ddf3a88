package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// History is the lines typed before, for the line editor, and in a file that
// only its owner can read. Shells that run side by side add to the same file,
// a line at a time. Lines that begin with a blank are not kept, nor is one twice
// in a row.
type History struct {
	lines []string // the oldest first
	file  *os.File // nil: not kept in a file
}

const (
	historyLines = 1000    // that a session knows of
	historyBytes = 1 << 20 // of a file, before it is cut to historyLines
)

// OpenHistory reads the history in the file at path, which is made if it is not
// there. The history can be used also beside an error, but forgets.
func OpenHistory(path string) (*History, error) {
	h := &History{}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return h, fmt.Errorf("keep history: %w", err)
	}
	size, err := h.read(path)
	if err != nil {
		return h, fmt.Errorf("read history: %w", err)
	}
	if size > historyBytes {
		if err := h.rewrite(path); err != nil {
			return h, fmt.Errorf("shorten history: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return h, fmt.Errorf("keep history: %w", err)
	}
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		if err := file.Chmod(0o600); err != nil {
			file.Close()
			return h, fmt.Errorf("keep history: %w", err)
		}
	}
	h.file = file
	return h, nil
}

// read takes in the file's last lines and gives its size.
func (h *History) read(path string) (size int64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, err
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if line := lines.Text(); fit(line) {
			h.remember(line)
		}
	}
	return info.Size(), lines.Err()
}

// fit says that a line can be shown in the editor.
func fit(line string) bool {
	return line != "" && utf8.ValidString(line) && !strings.ContainsFunc(line, unicode.IsControl) && !strings.ContainsRune(line, utf8.RuneError)
}

func (h *History) remember(line string) {
	h.lines = append(h.lines, line)
	if len(h.lines) >= 2*historyLines {
		h.lines = append([]string(nil), h.lines[len(h.lines)-historyLines:]...)
	}
}

// rewrite leaves only the lines in the file that a session knows of.
func (h *History) rewrite(path string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // its mode is 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // gone already where all went well
	_, err = temp.WriteString(strings.Join(h.lines[max(0, len(h.lines)-historyLines):], "\n") + "\n")
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// Add implements the editor's history.
func (h *History) Add(line string) {
	if !fit(line) || line[0] == ' ' || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.remember(line)
	if h.file != nil {
		h.file.WriteString(line + "\n") // one write, so that lines of several shells do not mix
	}
}

// Len implements the editor's history.
func (h *History) Len() int { return min(len(h.lines), historyLines) }

// At implements the editor's history: 0 is the line added last.
func (h *History) At(i int) string { return h.lines[len(h.lines)-1-i] }

// Close closes the file.
func (h *History) Close() error {
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}
