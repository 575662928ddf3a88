package inventory

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// within fails the test if f takes longer; limits are far above what an idle
// machine needs.
func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	start := time.Now()
	f()
	took := time.Since(start)
	t.Logf("%s: %v", what, took)
	if took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}

func TestScale(t *testing.T) {
	for _, test := range []struct {
		name  string
		data  []byte
		hosts int
		limit time.Duration
		held  uint64 // bytes a host
	}{
		{"written out", writtenOut(100_000), 100_000, time.Minute, 1500},
		{"range", ranged(100_000), 100_000, time.Minute, 700},
		{"large range", ranged(1_000_000), 1_000_000, 2 * time.Minute, 700},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var inv *Inventory
			within(t, test.limit, "parse", func() {
				var err error
				if inv, err = Parse("hosts.yaml", test.data); err != nil {
					t.Fatal(err)
				}
			})
			runtime.GC()
			runtime.ReadMemStats(&after)
			if n := len(inv.Hosts()); n != test.hosts {
				t.Errorf("%d hosts, want %d", n, test.hosts)
			}
			held := (after.HeapAlloc - before.HeapAlloc) / uint64(test.hosts)
			t.Logf("%d bytes held a host", held)
			if held > test.held {
				t.Errorf("%d bytes held a host, want at most %d", held, test.held)
			}
			runtime.KeepAlive(inv)
		})
	}
}

// A large file is read in blocks, and its errors are where they are.
func TestLargeFileErrors(t *testing.T) {
	data := writtenOut(10_000)
	if _, _, ok := readBlocks("f", data, MaxHosts, blockSize); !ok {
		t.Error("the file is not read in blocks")
	}
	data = bytes.Replace(data, []byte("{address: 10.0.27.88, port"), []byte("{address: 10.0.27.88, prot"), 1)
	_, err := Parse("f", data)
	if want := `f:7003:36: unknown field "prot" (did you mean "port"?)`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	data = append(data, "hosts:\n  x:\n"...)
	_, err = Parse("f", data)
	if want := `duplicate key "hosts" (first at line 2, column 1)`; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want ... %s", err, want)
	}
}

func TestFoldScale(t *testing.T) {
	for name, names := range irregular(100_000) {
		within(t, time.Minute, name, func() {
			folded := Fold(names)
			if again, err := ExpandSet(folded); err != nil || len(again) == 0 {
				t.Errorf("%d names of what was folded, %v", len(again), err)
			}
		})
	}
	var board []string // no two neighbours: the worst for merging
	for i := range 450 {
		for j := range 450 {
			if (i+j)%2 == 0 {
				board = append(board, fmt.Sprintf("a%db%d", i, j))
			}
		}
	}
	within(t, time.Minute, "board", func() { Fold(board) })
}
