package transfer

import (
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	ignore := "# comment\n\n*.tmp\n/rooted\nbuild/\n!keep.tmp\nsub/only\n**/deep/**/x\n"
	f, err := NewFilter([]string{"*.log", "secret"}, []string{"wanted.log"})
	if err != nil {
		t.Fatal(err)
	}
	if f, err = f.with(".", strings.NewReader(ignore)); err != nil {
		t.Fatal(err)
	}
	if f, err = f.with("own", strings.NewReader("*.txt\n!good.txt\n/top\n")); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]bool{
		"a": false, "a.log": true, "d/e/a.log": true, "wanted.log": false, "d/wanted.log": false, "secret": true,
		"secret/x": true, "secret/wanted.log": false, "a.tmp": true, "d/keep.tmp": false, "rooted": true, "d/rooted": false,
		"build/": true, "build": false, "d/build/": true, "d/build/x/y": true, "sub/only": true, "d/sub/only": false,
		"deep/x": true, "a/deep/b/c/x": true, "deep/y": false,
		"own/a.txt": true, "a.txt": false, "own/good.txt": false, "own/d/a.txt": true, "own/top": true, "own/d/top": false,
		"own/a.log": true,
	} {
		name, folder := strings.CutSuffix(name, "/")
		if got := f.out(name, folder); got != out {
			t.Errorf("%s: left out is %v, want %v", name, got, out)
		}
	}
	for _, bad := range []string{"[", "", "/", "a{"} {
		if _, err := NewFilter([]string{bad}, nil); err == nil {
			t.Errorf("pattern %q: no error", bad)
		}
	}
}
