package inventory

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files anew")

// parseCase is a part of testdata/errors.golden: a name, the file as a Go
// string, and the errors.
type parseCase struct{ name, text, want string }

func parseCases(t *testing.T, path string) []parseCase {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []parseCase
	for part := range strings.SplitSeq(strings.TrimPrefix(string(data), "== "), "\n== ") {
		name, rest, _ := strings.Cut(part, "\n")
		quoted, want, _ := strings.Cut(rest, "\n")
		text, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cases = append(cases, parseCase{name, text, strings.TrimSuffix(want, "\n")})
	}
	return cases
}

func TestParseErrors(t *testing.T) {
	const path = "testdata/errors.golden"
	var anew strings.Builder
	cases := parseCases(t, path)
	if len(cases) < 50 {
		t.Errorf("%d cases", len(cases))
	}
	for _, test := range cases {
		inv, err := Parse("f", []byte(test.text))
		if err == nil {
			t.Fatalf("%s: no error, %d hosts", test.name, len(inv.Hosts()))
		}
		fmt.Fprintf(&anew, "== %s\n%q\n%s\n", test.name, test.text, err)
		if diff := cmp.Diff(test.want, err.Error()); diff != "" && !*update {
			t.Errorf("%s: error (-want +got):\n%s", test.name, diff)
		}
		var list Errors
		if !errors.As(err, &list) || len(list) != strings.Count(err.Error(), "\n")+1 {
			t.Errorf("%s: %T of %d errors", test.name, err, len(list))
		}
	}
	if *update {
		write(t, path, anew.String())
	}
}

func TestErrorWord(t *testing.T) {
	_, err := Parse("f", []byte("hosts:\n  web: {prot: 22}\n  x[3-1]: {}\n"))
	var list Errors
	if !errors.As(err, &list) {
		t.Fatalf("got %T", err)
	}
	want := Errors{
		{File: "f", Line: 2, Column: 9, Word: "prot", Msg: `unknown field "prot"`, Hint: `did you mean "port"?`},
		{File: "f", Line: 3, Column: 5, Word: "3-1", Msg: `range "3-1" is reversed`, Hint: "write 1-3"},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	var one *Error
	if !errors.As(err, &one) || one != list[0] {
		t.Errorf("errors.As gave %v", one)
	}
}

func TestManyErrors(t *testing.T) {
	_, err := Parse("f", []byte("hosts:\n"+strings.Repeat("  -x: {}\n", maxErrors+300)))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxErrors+1 || !strings.HasSuffix(lines[maxErrors], " more errors") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	bad := filepath.Join(dir, "bad.yaml")
	write(t, good, "hosts: {a: {prot: 1}}\n")
	write(t, bad, "hosts: {a: {usr: x}}\n")
	missing := filepath.Join(dir, "missing.yaml")
	_, err := Load(good, missing, dir, bad)
	want := strings.Join([]string{
		good + `:1:13: unknown field "prot" (did you mean "port"?)`,
		missing + ": read inventory: no such file or directory",
		dir + ": read inventory: is a directory (name the file in it)",
		bad + `:1:13: unknown field "usr" (did you mean "user"?)`,
	}, "\n")
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("a missing file is not fs.ErrNotExist")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
