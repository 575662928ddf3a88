package shell

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCompleteFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"site/index.html", "up.sh", "my file.sh", "it's", "kö", "kä", ".hidden", "bell\a"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line, want := range map[string]string{
		":script u":           ":script up.sh",
		":stdin  u":           ":stdin  up.sh",
		":script m":           `:script my\ file.sh`,
		`:script my\ f`:       `:script my\ file.sh`,
		":push it":            `:push it\'s`,
		":push s":             ":push site/",
		":push up.sh site/in": ":push up.sh site/index.html",
		":script .h":          ":script .hidden",
		":push k":             ":push k",
		":push b":             ":push b",
		":push ":              ":push ",
		":push 'u":            ":push 'u",
		":script up.sh s":     ":script up.sh s",
		":stdin up.sh s":      ":stdin up.sh s",
		":script none/x":      ":script none/x",
		":pull s":             ":pull s",
		"cat u":               "cat u",
	} {
		got, pos, ok := Complete(line+"|", len(line), nil, nil)
		if !ok {
			got, pos = line+"|", len(line)
		}
		if got != want+"|" || pos != len(want) || ok != (want != line) {
			t.Errorf("%s becomes %s at %d, %v; want %s", line, got, pos, ok, want)
		}
	}
}
