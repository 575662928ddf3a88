package hostkeys

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// bigFile is a known_hosts of n lines, each for a host of its own, and bad ones
// spread among them.
func bigFile(t testing.TB, n, bad int, hash bool) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		name := fmt.Sprintf("web%d", i)
		if hash {
			name = hashName(name)
		}
		b.WriteString(name + " " + authorizedKey(fakeKey(i)) + "\n")
		if bad > 0 && i%(n/bad) == 0 {
			fmt.Fprintf(&b, "web%d ssh-unknown AAAA\n", i)
		}
	}
	name := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestManyHashedLines holds the index to its promises at 100,000 hashed lines
// with 100 bad ones: loaded within 1 s, a check within 1 ms.
func TestManyHashedLines(t *testing.T) {
	const lines, checks = 100_000, 1000
	file := bigFile(t, lines, 100, true)
	start := time.Now()
	x := load(t, file)
	if took := time.Since(start); took > slowdown*time.Second {
		t.Errorf("loading took %v", took)
	}
	want := fmt.Sprintf("known_hosts: 100 bad lines, first at %s:2: key is cut short", file)
	if err := x.Problems(); err == nil || err.Error() != want {
		t.Errorf("Problems() = %v\nwant %s", err, want)
	}
	p := &Policy{Index: x}
	start = time.Now()
	for i := range checks {
		n := i * (lines / checks)
		if err := p.Check(fmt.Sprintf("web%d:22", n), nil, fakeKey(n)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > slowdown*checks*time.Millisecond {
		t.Errorf("%d checks took %v", checks, took)
	}
	if got := reason(t, p, "web77:22", fakeKey(78)); got != ReasonChanged {
		t.Errorf("another host's key: %q", got)
	}
	if got := reason(t, p, "nobody:22", fakeKey(78)); got != ReasonUnknown {
		t.Errorf("an unknown host: %q", got)
	}
}

// TestSearchFindsAll asks for algorithms in an order that defeats the search's
// memory, from many goroutines, while the index grows.
func TestSearchFindsAll(t *testing.T) {
	const lines = 400
	file := bigFile(t, lines, 0, true)
	p := accepting(t, file)
	p.Hash = true
	var done sync.WaitGroup
	for i := range lines {
		done.Go(func() {
			n := i * 173 % lines
			addr := fmt.Sprintf("web%d:22", n)
			for range 2 {
				if p.Algorithms(addr) == nil {
					t.Errorf("%s was not found", addr)
				}
			}
			fresh := fmt.Sprintf("new%d:22", n)
			if p.Algorithms(fresh) != nil {
				t.Errorf("%s was found", fresh)
			}
			mustAccept(t, p, fresh, fakeKey(n))
			if p.Algorithms(fresh) == nil || len(p.Index.Lookup(fresh)) != 1 {
				t.Errorf("%s was accepted but not found", fresh)
			}
		})
	}
	done.Wait()
	p.Index.Prepare([]string{"web1:22", "web2:22", "none:22"})
	for n := range lines {
		if got := p.Index.Lookup(fmt.Sprintf("web%d:22", n)); len(got) != 1 || got[0].Line != n+1 {
			t.Errorf("web%d is at %v", n, got)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, hash := range []bool{false, true} {
		b.Run(fmt.Sprintf("hashed=%v", hash), func(b *testing.B) {
			file := bigFile(b, 100_000, 100, hash)
			b.ReportAllocs()
			for b.Loop() {
				load(b, file)
			}
		})
	}
}

// BenchmarkCheck checks known keys at 100,000 lines.
func BenchmarkCheck(b *testing.B) {
	for _, hash := range []bool{false, true} {
		b.Run(fmt.Sprintf("hashed=%v", hash), func(b *testing.B) {
			p := &Policy{Index: load(b, bigFile(b, 100_000, 100, hash))}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i * 7919 % 100_000
				if err := p.Check(fmt.Sprintf("web%d:22", n), nil, fakeKey(n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUnknown checks hosts that are not known, the dearest case: every
// hashed line must be looked at once for each name.
func BenchmarkUnknown(b *testing.B) {
	p := &Policy{Index: load(b, bigFile(b, 100_000, 0, true))}
	for i := 0; b.Loop(); i++ {
		if p.Check(fmt.Sprintf("none%d:22", i), nil, fakeKey(1)) == nil {
			b.Fatal("accepted")
		}
	}
}

// BenchmarkAlgorithms orders algorithms for hosts in the order of the file,
// and in an order that has nothing to do with it.
func BenchmarkAlgorithms(b *testing.B) {
	file := bigFile(b, 100_000, 0, true)
	for _, c := range []struct {
		name string
		step int
	}{{"in order", 1}, {"out of order", 61_813}} {
		b.Run(c.name, func(b *testing.B) {
			x := load(b, file)
			for i := 0; b.Loop(); i++ {
				if x.Algorithms(fmt.Sprintf("web%d:22", i*c.step%100_000)) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkAcceptNew accepts 1,000 new hosts at once, each on disk on return.
func BenchmarkAcceptNew(b *testing.B) {
	for b.Loop() {
		p := accepting(b, filepath.Join(b.TempDir(), "known_hosts"))
		var done sync.WaitGroup
		for n := range 1000 {
			done.Go(func() {
				if err := p.Check(fmt.Sprintf("web%d:22", n), nil, fakeKey(n)); err != nil {
					b.Error(err)
				}
			})
		}
		done.Wait()
		if err := p.Unwritten(); err != nil {
			b.Fatal(err)
		}
	}
}
