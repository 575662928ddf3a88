package inventory

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestExpandSet(t *testing.T) {
	for _, test := range []struct{ set, want string }{
		{"web", "web"},
		{"web[1-3]", "web1 web2 web3"},
		{"web[01-03]", "web01 web02 web03"},
		{"web[1-9/4]", "web1 web5 web9"},
		{"web[1-8/4]", "web1 web5"},
		{"web[08-11]", "web08 web09 web10 web11"},
		{"web[8-11]", "web8 web9 web10 web11"},
		{"web[5,1-2]", "web5 web1 web2"},
		{"web[0,00,1]", "web0 web00 web1"},
		{"web[1-3,2-4]", "web1 web2 web3 web4"},
		{"web[1-3,01-02]", "web1 web2 web3 web01 web02"},
		{"a[1-2]b[3-4]c", "a1b3c a1b4c a2b3c a2b4c"},
		{"[1-2]", "1 2"},
		{"10.0.[0-1].[1-2]", "10.0.0.1 10.0.0.2 10.0.1.1 10.0.1.2"},
		{"a[1-2]3", "a13 a23"},
		{"a1[9-10]", "a19 a110"},
		{"a[1-5/2]0", "a10 a30 a50"},
		{"b,a", "b a"},
		{"a,b,a", "a b"},
		{"a[1-3],a2,a[3-4]", "a1 a2 a3 a4"},
		{"a1,a[1-2],a01", "a1 a2 a01"},
		{" a , b[ 1 - 2 , 5 ] ", "a b1 b2 b5"},
		{"a[999999999999999998-999999999999999999]", "a999999999999999998 a999999999999999999"},
	} {
		names, err := ExpandSet(test.set)
		if err != nil {
			t.Errorf("%q: %v", test.set, err)
			continue
		}
		if got := strings.Join(names, " "); got != test.want {
			t.Errorf("%q: got %s, want %s", test.set, got, test.want)
		}
		set, err := ParseSet(test.set)
		if err != nil || set.Len() != len(names) {
			t.Errorf("%q: length %d, want %d (%v)", test.set, set.Len(), len(names), err)
		}
	}
}

func TestExpandSetErrors(t *testing.T) {
	for _, test := range []struct{ set, want string }{
		{"", `"": column 1: empty host set`},
		{"a,,b", `"a,,b": column 3: name missing before ","`},
		{"a,", `"a,": column 3: name missing at the end`},
		{"a[]", `"a[]": column 3: empty range (write numbers as in [1-9])`},
		{"a[1,,2]", `"a[1,,2]": column 5: empty range (write numbers as in [1-9])`},
		{"a[3-1]", `"a[3-1]": column 3: range "3-1" is reversed (write 1-3)`},
		{"a[1-010]", `"a[1-010]": column 3: range "1-010": zero padding of different width (pad both ends alike, as in [001-100])`},
		{"a[1-5/0]", `"a[1-5/0]": column 3: range "1-5/0": step is 0`},
		{"a[5/2]", `"a[5/2]": column 3: range "5/2": step after a single number`},
		{"a[x]", `"a[x]": column 3: range "x": "x" is not a number`},
		{"a[1-2-3]", `"a[1-2-3]": column 3: range "1-2-3": "2-3" is not a number`},
		{"a[-5]", `"a[-5]": column 3: range "-5": number missing`},
		{"a[1-]", `"a[1-]": column 3: range "1-": number missing`},
		{"a[1-2", `"a[1-2": column 2: "[" without "]"`},
		{"a1-2]", `"a1-2]": column 5: "]" without "["`},
		{"a[1-2][3]", `"a[1-2][3]": column 7: two ranges side by side (put a character that is no digit between them)`},
		{"a[1-2]0[3]", `"a[1-2]0[3]": column 8: two ranges side by side (put a character that is no digit between them)`},
		{"a[[1]]", `"a[[1]]": column 3: "[" inside "["`},
		{"a[1-20000000]", `"a[1-20000000]": column 2: range of 20000000 names, the limit is 10000000`},
		{"a[1-5000]b[1-5000]", `"a[1-5000]b[1-5000]": column 11: range of 25000000 names, the limit is 10000000`},
		{"a[1-9000000],b[1-9000000]", `"a[1-9000000],b[1-9000000]": column 14: host set of 18000000 names, the limit is 10000000`},
		{"é,a b", `"é,a b": column 3: space inside "a b" (separate names with a comma)`},
		{"a!b", `"a!b": column 2: "!" in a host set (a host set holds names and ranges, a pattern may hold more)`},
		{"@web", `"@web": column 1: "@" in a host set (a host set holds names and ranges, a pattern may hold more)`},
	} {
		names, err := ExpandSet(test.set)
		var at *PatternError
		if !errors.As(err, &at) {
			t.Errorf("%q: got %d names and %v", test.set, len(names), err)
			continue
		}
		if err.Error() != test.want {
			t.Errorf("%q:\n got %s\nwant %s", test.set, err, test.want)
		}
	}
}

func TestSetAllStops(t *testing.T) {
	set, err := ParseSet("a[1-9000000],b,a[5-7]")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for name := range set.All() {
		if got = append(got, name); len(got) == 3 {
			break
		}
	}
	if want := []string{"a1", "a2", "a3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A million names pass through without staying in memory.
func TestSetAllKeepsNothing(t *testing.T) {
	set, err := ParseSet("web[0000001-1000000]")
	if err != nil {
		t.Fatal(err)
	}
	held := testing.AllocsPerRun(1, func() {
		n := 0
		for name := range set.All() {
			n += len(name)
		}
		if n != 10_000_000 {
			t.Errorf("%d bytes of names", n)
		}
	})
	if perName := held / 1_000_000; perName > 1.01 {
		t.Errorf("%.2f allocations a name, want the name's own", perName)
	}
}
