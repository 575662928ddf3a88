package inventory

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// writtenOut is a file of n hosts, one a line, in 40 groups.
func writtenOut(n int) []byte {
	var b bytes.Buffer
	b.WriteString("defaults: {user: deploy}\nhosts:\n")
	for i := range n {
		fmt.Fprintf(&b, "  web%06d: {address: 10.%d.%d.%d, port: 2222, vars: {rack: r%d}}\n", i, i>>16, i>>8&255, i&255, i%40)
	}
	b.WriteString("groups:\n")
	for g := range 40 {
		fmt.Fprintf(&b, "  g%d:\n    vars: {tier: t%d}\n    hosts:\n", g, g)
		for i := g; i < n; i += 40 {
			fmt.Fprintf(&b, "      - web%06d\n", i)
		}
	}
	return b.Bytes()
}

func ranged(n int) []byte {
	return fmt.Appendf(nil, "hosts:\n  web[0000001-%07d]: {port: 2222}\ngroups:\n  web: {hosts: \"web[0000001-%07d]\", vars: {a: b}}\n", n, n)
}

func irregular(n int) map[string][]string {
	r := rand.New(rand.NewPCG(1, 1))
	forms := make(map[string][]string)
	for i := range n {
		forms["addresses"] = append(forms["addresses"], fmt.Sprintf("ip-10-%d-%d-%d", r.IntN(256), r.IntN(256), r.IntN(256)))
		forms["hex"] = append(forms["hex"], fmt.Sprintf("i-%016x", r.Uint64()))
		forms["gaps"] = append(forms["gaps"], fmt.Sprintf("rack%dnode%d", r.IntN(300), r.IntN(1000)))
		forms["regular"] = append(forms["regular"], fmt.Sprintf("web%06d", i))
	}
	return forms
}

func BenchmarkParse(b *testing.B) {
	for name, data := range map[string][]byte{"written=100000": writtenOut(100_000), "range=100000": ranged(100_000), "range=1000000": ranged(1_000_000)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("hosts.yaml", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFold(b *testing.B) {
	for name, names := range irregular(100_000) {
		b.Run(name+"=100000", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Fold(names)
			}
		})
	}
}

// BenchmarkFoldBesideNodeset folds the same names here and by nodeset -f, each as
// a process reads them from a file, and tells how many times faster this is.
func BenchmarkFoldBesideNodeset(b *testing.B) {
	path, err := exec.LookPath("nodeset")
	if err != nil {
		b.Skip("nodeset is not installed (Debian package clustershell)")
	}
	for name, names := range irregular(100_000) {
		if name == "addresses" {
			continue // minutes of nodeset
		}
		b.Run(name, func(b *testing.B) {
			text := strings.Join(names, "\n") + "\n"
			var ours, theirs time.Duration
			for b.Loop() {
				began := time.Now()
				folded := Fold(strings.Fields(text))
				ours += time.Since(began)
				cmd := exec.Command(path, "-f")
				cmd.Stdin = strings.NewReader(text)
				began = time.Now()
				out, err := cmd.Output()
				theirs += time.Since(began)
				if err != nil || strings.TrimSpace(string(out)) != folded {
					b.Fatalf("nodeset folds in another way (%v)", err)
				}
			}
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-faster")
		})
	}
}

func BenchmarkSetAll(b *testing.B) {
	set, err := ParseSet("web[0000001-1000000]")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range set.All() {
			n++
		}
		if n != 1_000_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkSelect(b *testing.B) {
	inv, err := Parse("hosts.yaml", writtenOut(100_000))
	if err != nil {
		b.Fatal(err)
	}
	for _, pattern := range []string{"all!@g1&web0[00000-99999]", "web*9", "~9$", "@g1,@g2", "rack=r7", "port>1000&!address=10.0.0.0/16", "rack~^r[0-9]$", "web000001:@g7:&web*"} {
		b.Run(pattern, func(b *testing.B) {
			for b.Loop() {
				if _, err := inv.Select(pattern); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
