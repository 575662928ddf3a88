package inventory

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Share is one of several parts into which hosts are split by their names.
type Share struct {
	Part, Of int // Part from 1 to Of
}

// ParseShare reads "2/5", the second of five parts.
func ParseShare(text string) (Share, error) {
	part, of, _ := strings.Cut(text, "/")
	s := Share{}
	var err1, err2 error
	s.Part, err1 = strconv.Atoi(part)
	s.Of, err2 = strconv.Atoi(of)
	if err1 != nil || err2 != nil || s.Of < 1 || s.Part < 1 || s.Part > s.Of {
		return Share{}, fmt.Errorf("%q is no share such as 1/4, the first of four", abbreviate(text))
	}
	return s, nil
}

// String gives the share as ParseShare reads it.
func (s Share) String() string { return fmt.Sprintf("%d/%d", s.Part, s.Of) }

// Holds says whether a host of that name is in the share. Every name is in one
// share of Of, whatever other hosts there are; where Of grows by one, one host
// in Of+1 changes its share, into the new one (Lamping and Veach, "A Fast,
// Minimal Memory, Consistent Hash Algorithm", 2014).
func (s Share) Holds(name string) bool {
	sum := sha256.Sum256([]byte(name))
	key := binary.BigEndian.Uint64(sum[:8])
	at, next := int64(-1), int64(0)
	for next < int64(s.Of) {
		at = next
		key = key*2862933555777941757 + 1
		next = int64(float64(at+1) * (float64(int64(1)<<31) / float64(key>>33+1)))
	}
	return at == int64(s.Part-1)
}

// Among gives those of hosts that are in the share, in their order.
func (s Share) Among(hosts []*Host) []*Host {
	var out []*Host
	for _, h := range hosts {
		if s.Holds(h.Name) {
			out = append(out, h)
		}
	}
	return out
}

// Pick gives n of hosts by chance, in their order, or all if there are fewer.
// The same seed picks the same of the same hosts.
func Pick(hosts []*Host, n int, seed uint64) []*Host {
	if n >= len(hosts) {
		return hosts
	}
	// The first n places of a shuffle that goes no further (Fisher and Yates).
	at := make([]int, len(hosts))
	for i := range at {
		at[i] = i
	}
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		j := i + r.IntN(len(at)-i)
		at[i], at[j] = at[j], at[i]
	}
	slices.Sort(at[:n])
	out := make([]*Host, n)
	for i, from := range at[:n] {
		out[i] = hosts[from]
	}
	return out
}

// Shuffle gives the hosts in an order that seed decides.
func Shuffle(hosts []*Host, seed uint64) []*Host {
	out := slices.Clone(hosts)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// SortByName gives the hosts ordered by name, numbers in names by their value:
// web2 before web10.
func SortByName(hosts []*Host) []*Host {
	out := slices.Clone(hosts)
	slices.SortFunc(out, func(a, b *Host) int { return compareNatural(a.Name, b.Name) })
	return out
}

// compareNatural compares texts, runs of digits in them by value, and of equal
// values the shorter first.
func compareNatural(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if !isDigit(a[i]) || !isDigit(b[j]) {
			if a[i] != b[j] {
				return cmp.Compare(a[i], b[j])
			}
			i, j = i+1, j+1
			continue
		}
		endA, endB := endOfDigits(a, i), endOfDigits(b, j)
		x, y := strings.TrimLeft(a[i:endA], "0"), strings.TrimLeft(b[j:endB], "0")
		if c := cmp.Or(len(x)-len(y), cmp.Compare(x, y), (endA-i)-(endB-j)); c != 0 {
			return c
		}
		i, j = endA, endB
	}
	return (len(a) - i) - (len(b) - j)
}

func endOfDigits(text string, from int) int {
	for from < len(text) && isDigit(text[from]) {
		from++
	}
	return from
}
