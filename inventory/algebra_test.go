package inventory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func foldAll(lists [][]string) string {
	var out []string
	for _, l := range lists {
		out = append(out, Fold(l))
	}
	return strings.Join(out, "\n")
}

// Sets are joined, cut and counted as nodeset does.
func TestAlgebraAsNodeset(t *testing.T) {
	t.Parallel()
	run := nodeset(t)
	r := rand.New(rand.NewPCG(2, 9))
	set := func() string {
		low := r.IntN(12)
		return []string{fmt.Sprintf("n[%d-%d]", low, low+r.IntN(15)), fmt.Sprintf("n[%02d-%02d],m%d", low, low+r.IntN(9), low), fmt.Sprintf("r[1-%d]n[%d,%d-%d]", 1+r.IntN(3), low, low+2, low+4)}[r.IntN(3)]
	}
	flags := map[byte]string{'!': "-x", '&': "-i", '^': "-X"}
	for range 8 {
		first, op, second := set(), "!&^"[r.IntN(3)], set()
		a, err := ExpandSet(first)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := ExpandSet(second)
		got := Combine(a, op, b)
		if want := run("", "-f", first, flags[op], second); Fold(got) != want {
			t.Errorf("%s %c %s: got %s, nodeset says %s", first, op, second, Fold(got), want)
		}
	}
	for _, text := range []string{"foo[1-8]", "foo[1-3,5-6],bar", "foo[1-2,4,6-9]x", "r[1-2]n[1-2,4]", "r[1,3-4]n[1-2,4]", "a[08-11],a[1-3]"} {
		names, _ := ExpandSet(text)
		sorted, _ := ExpandSet(Fold(names))
		for _, n := range []int{2, 5} {
			if got, want := foldAll(Split(sorted, n)), run("", "-f", fmt.Sprintf("--split=%d", n), text); got != want {
				t.Errorf("%s in %d: got\n%s\nnodeset says\n%s", text, n, got, want)
			}
		}
		got, want := strings.Split(foldAll(Contiguous(names)), "\n"), strings.Split(run("", "-f", "--contiguous", text), "\n")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, nodeset says %q", text, got, want)
		}
	}
}

func TestCombine(t *testing.T) {
	a, b := []string{"z", "a", "b", "a"}, []string{"b", "c", "c"}
	for op, want := range map[byte]string{',': "z a b c", '&': "b", '!': "z a", '^': "z a c"} {
		if got := strings.Join(Combine(a, op, b), " "); got != want {
			t.Errorf("%c: got %s, want %s", op, got, want)
		}
	}
	if got := Split(nil, 3); got != nil {
		t.Errorf("nothing in 3: %q", got)
	}
	if got := Contiguous(nil); got != nil {
		t.Errorf("runs of nothing: %q", got)
	}
}
