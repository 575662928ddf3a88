package inventory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func named(names ...string) []*Host {
	hosts := make([]*Host, len(names))
	for i, name := range names {
		hosts[i] = &Host{Name: name}
	}
	return hosts
}

func numbered(n int) []*Host {
	hosts := make([]*Host, n)
	for i := range hosts {
		hosts[i] = &Host{Name: fmt.Sprintf("web%04d", i)}
	}
	return hosts
}

// Shares are disjoint, hold everything, are about equal, and stay as they are
// when hosts come and go; one more share takes hosts from all and moves no
// other.
func TestShares(t *testing.T) {
	hosts := numbered(3000)
	for of := 1; of <= 9; of++ {
		total := 0
		for part := 1; part <= of; part++ {
			s := Share{part, of}
			in := s.Among(hosts)
			total += len(in)
			if want := len(hosts) / of; len(in) < want*8/10 || len(in) > want*12/10 {
				t.Errorf("share %v holds %d of %d", s, len(in), len(hosts))
			}
			for _, h := range in {
				if more := (Share{part, of + 1}); !more.Holds(h.Name) && !(Share{of + 1, of + 1}).Holds(h.Name) {
					t.Fatalf("%s goes from %v to neither %v nor the new one", h.Name, s, more)
				}
			}
		}
		if total != len(hosts) {
			t.Errorf("%d shares hold %d of %d", of, total, len(hosts))
		}
	}
}

// The shares of a name are part of the contract: controllers of different
// versions must split alike.
func TestShareIsFixed(t *testing.T) {
	var got []string
	for _, name := range []string{"web01", "web02", "db1", "bastion", "10.0.0.1"} {
		for part := 1; part <= 4; part++ {
			if (Share{part, 4}).Holds(name) {
				got = append(got, fmt.Sprintf("%s:%d", name, part))
			}
		}
	}
	const want = "web01:2 web02:1 db1:3 bastion:3 10.0.0.1:2"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestParseShare(t *testing.T) {
	if s, err := ParseShare("2/5"); err != nil || s != (Share{2, 5}) || s.String() != "2/5" {
		t.Errorf("2/5: %v, %v", s, err)
	}
	for _, text := range []string{"", "1", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1/2 "} {
		if s, err := ParseShare(text); err == nil {
			t.Errorf("%q: %v", text, s)
		}
	}
}

func TestPickAndShuffle(t *testing.T) {
	hosts := numbered(100)
	seen := make(map[string]int)
	for seed := range uint64(300) {
		got := Pick(hosts, 10, seed)
		if len(got) != 10 || !slices.IsSortedFunc(got, func(a, b *Host) int { return strings.Compare(a.Name, b.Name) }) {
			t.Fatalf("seed %d picks %v", seed, hostNames(got))
		}
		if !slices.Equal(got, Pick(hosts, 10, seed)) {
			t.Fatalf("seed %d picks others the second time", seed)
		}
		for _, h := range got {
			seen[h.Name]++
		}
		mixed := Shuffle(hosts, seed)
		if slices.Equal(mixed, hosts) || !slices.Equal(mixed, Shuffle(hosts, seed)) || !slices.Equal(SortByName(mixed), hosts) {
			t.Fatalf("seed %d shuffles %v", seed, hostNames(mixed))
		}
	}
	for _, h := range hosts { // 30 expected
		if n := seen[h.Name]; n < 10 || n > 60 {
			t.Errorf("%s is picked %d times of 300", h.Name, n)
		}
	}
	if got := Pick(hosts, 1000, 1); len(got) != 100 {
		t.Errorf("picked %d of 100", len(got))
	}
}

func TestSortByName(t *testing.T) {
	const want = "10.0.0.2 10.0.0.10 db web web-1 web1 web01 web2 web10a web10b web010"
	hosts := Shuffle(named(strings.Fields(want)...), 7)
	if got := strings.Join(hostNames(SortByName(hosts)), " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
