package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// nodeset runs ClusterShell's tool, the judge of folding and expanding. Where a
// run must prove something, its absence is an error.
func nodeset(t *testing.T) func(stdin string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("nodeset")
	if err != nil {
		if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") == "1" {
			t.Fatal("nodeset is not installed (Debian package clustershell)")
		}
		t.Skip("nodeset is not installed (Debian package clustershell)")
	}
	ask := startNodeset(t, path)
	return func(stdin string, args ...string) string {
		t.Helper()
		out, status := ask(stdin, args...)
		if status != 0 {
			t.Fatalf("nodeset %v: status %d", args, status)
		}
		return strings.TrimSuffix(out, "\n")
	}
}

// startNodeset starts nodeset in a process that serves one test.
func startNodeset(t *testing.T, path string) func(stdin string, args ...string) (out string, status int) {
	t.Helper()
	head, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	python, _, _ := strings.Cut(strings.TrimPrefix(string(head), "#!"), "\n") // the one that has ClusterShell
	cmd := exec.Command(python, "testdata/nodeset.py")
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() //nolint:errcheck // what counts are its answers
	})
	answers := json.NewDecoder(out)
	return func(stdin string, args ...string) (string, int) {
		t.Helper()
		var answer struct {
			Status int
			Out    string
		}
		err := json.NewEncoder(in).Encode(map[string]any{"args": args, "stdin": stdin})
		if err = errors.Join(err, answers.Decode(&answer)); err != nil {
			t.Fatalf("nodeset %v: %v", args, err)
		}
		return answer.Out, answer.Status
	}
}

func TestFoldAsNodeset(t *testing.T) {
	t.Parallel()
	run := nodeset(t)
	for _, names := range []string{
		"web01 web02 web03 web4 web5",
		"web1 web01 web001 web2 web02",
		"web09 web10 web11 web99 web100 web101",
		"web08 web9 web10 web100 web099",
		"a09 a98 a99 a100",
		"a09 a10 a98 a99 a100",
		"web0 web00 web000",
		"a1b1 a1b2 a2b1 a2b2",
		"a1b1 a1b2 a2b1 a2b2 a3b5 a3b6 a1b5",
		"10.0.0.1 10.0.0.2 10.0.1.1",
		"web1 db1 web2 db2 bastion alpha",
		"12 13 14",
		"web-1 web-2 web--3",
		"web1 web1 web1",
		"a1-b a2-b a3-b a1-c a2-c a3-c a4-b",
	} {
		want := run(strings.ReplaceAll(names, " ", "\n")+"\n", "-f")
		if got := Fold(strings.Fields(names)); got != want {
			t.Errorf("%s: got %s, nodeset says %s", names, got, want)
		}
	}
}

// generated gives names that collide, leave gaps and mix padding.
func generated(r *rand.Rand) []string {
	forms := []string{"a%s", "a%sb%s", "%s.%s.%s", "x", "n%s-z", "a%s-%s", "r%sc%ss%sn%s"}
	widths := []string{"%d", "%02d", "%d", "%03d"}[:1+r.IntN(4)]
	forms = forms[:1+r.IntN(len(forms))]
	most := []int{3, 6, 12, 120}[r.IntN(4)]
	names := make([]string, 1+r.IntN(60))
	for i := range names {
		name := forms[r.IntN(len(forms))]
		for strings.Contains(name, "%s") {
			name = strings.Replace(name, "%s", fmt.Sprintf(widths[r.IntN(len(widths))], r.IntN(most)), 1)
		}
		names[i] = name
	}
	return names
}

func TestFoldGeneratedAsNodeset(t *testing.T) {
	t.Parallel()
	run := nodeset(t)
	for seed := range uint64(40) {
		names := generated(rand.New(rand.NewPCG(seed, 7)))
		want := run(strings.Join(names, "\n")+"\n", "-f")
		got := Fold(names)
		if got != want {
			t.Fatalf("seed %d: %v\n got     %s\nnodeset %s", seed, names, got, want)
		}
		back, err := ExpandSet(got)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		slices.Sort(names)
		slices.Sort(back)
		if !slices.Equal(slices.Compact(names), back) {
			t.Fatalf("seed %d: %s gives back %v, not %v", seed, got, back, names)
		}
	}
}

// Fold does not depend on the order or repetition of names.
func TestFoldOrder(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 11))
		names := generated(r)
		want := Fold(names)
		again := append(slices.Clone(names), names[:len(names)/2]...)
		r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if got := Fold(again); got != want {
			t.Fatalf("seed %d: %s and %s", seed, got, want)
		}
	}
}

func TestExpandAsNodeset(t *testing.T) {
	t.Parallel()
	run := nodeset(t)
	sets := []string{
		"web[01-20]", "web[1-9/2]", "a[1-2]b[3-4]", "web[01-20/5,30]", "a[09-11]", "a[1,1,2]", "a[0,00,1]", "[1-3]", "a[1-2]3", "a[9-10]5",
		"a0[1-2]", "a[ 1-2 , 5 ]", " a , b ", "a[1-3],a2,b", "10.0.[0-3].[1-4]", "a[1-2]b[1-2]c[1-2]", "a[5-6/1]", "a[1-3,2-5]", "web[098-102]",
	}
	r := rand.New(rand.NewPCG(3, 3))
	for range 10 {
		low := r.IntN(200)
		sets = append(sets, fmt.Sprintf("n[%d-%d/%d]x,n[%03d-%03d]x,m%d", low, low+r.IntN(50), 1+r.IntN(4), low, low+r.IntN(30), r.IntN(9)))
	}
	for _, set := range sets {
		want := strings.Fields(run("", "-e", set))
		got, err := ExpandSet(set)
		if err != nil {
			t.Errorf("%s: %v", set, err)
			continue
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, nodeset says %v", set, got, want)
		}
		parsed, err := ParseSet(set)
		if n := run("", "-c", set); err != nil || strconv.Itoa(parsed.Len()) != n {
			t.Errorf("%s: %d names (%v), nodeset counts %s", set, parsed.Len(), err, n)
		}
	}
}

// What nodeset refuses is refused here too.
func TestExpandRefusesAsNodeset(t *testing.T) {
	path, err := exec.LookPath("nodeset")
	nodeset(t)
	var ask func(string, ...string) (string, int)
	if err == nil {
		ask = startNodeset(t, path)
	}
	for _, set := range []string{
		"a[3-1]", "a[1-010]", "a[01-5]", "a[01-100]", "a[]", "a[1-]", "a[1-5/0]", "a[1-2][3-4]", "a[1-2]3[4-5]", "a,,b", "a[1-2", "a1-2]", "a[1,,2]", "a[x]", "a[5/2]", "a[0-010]",
	} {
		if ask != nil {
			if _, status := ask("", "-e", set); status == 0 {
				t.Errorf("nodeset takes %s", set)
			}
		}
		if names, err := ExpandSet(set); err == nil {
			t.Errorf("%s: got %v", set, names)
		}
	}
}

// The operators mean what they mean in nodeset, and go from left to right.
func TestSelectAsNodeset(t *testing.T) {
	t.Parallel()
	run := nodeset(t)
	inv, err := Parse("f", []byte("hosts: {\"web[1-20]\": , \"db[1-9]\": }"))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(5, 5))
	for range 40 {
		var b strings.Builder
		for i := range 1 + r.IntN(6) {
			if i > 0 {
				b.WriteByte(operators[r.IntN(len(operators))])
			}
			low := 1 + r.IntN(9)
			switch name := []string{"web", "db"}[r.IntN(2)]; r.IntN(3) {
			case 0:
				fmt.Fprintf(&b, "%s%d", name, low)
			case 1:
				fmt.Fprintf(&b, "%s[%d-%d]", name, low, low+r.IntN(10-low))
			case 2:
				fmt.Fprintf(&b, "%s[%d,9]", name, low)
			}
		}
		want := run("", "-f", b.String())
		hosts, err := inv.Select(b.String())
		if got := Fold(hostNames(hosts)); err != nil || got != want {
			t.Fatalf("%s: got %s (%v), nodeset says %s", b.String(), got, err, want)
		}
	}
}
