package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

func startupScenario() scenario {
	return scenario{
		name: "startup", title: "an inventory of 100,000 hosts",
		how: "`fleet hosts --output names` on a hosts.yaml that has a line with address and variables for each of 100,000 hosts " +
			"in 1,000 groups, and on one that says the same names in ranges.",
		run: (*bench).startup,
	}
}

func (b *bench) startup(ctx context.Context) error {
	const n = 100_000
	dir, err := b.folder("startup")
	if err != nil {
		return err
	}
	file, ranges := filepath.Join(dir, "file.yaml"), filepath.Join(dir, "ranges.yaml")
	if err := writeTo(file, func(w *bufio.Writer) { longInventory(w, n) }); err != nil {
		return err
	}
	if err := writeTo(ranges, func(w *bufio.Writer) { rangeInventory(w, n) }); err != nil {
		return err
	}
	list := func(path string) contender {
		return contender{"fleet hosts", func(ctx context.Context) (usage, error) {
			return b.cost(ctx, command{argv: []string{b.fleet, "hosts", "-i", path, "--output", "names"}, check: lineCount(n)})
		}}
	}
	version := contender{"fleet version", func(ctx context.Context) (usage, error) {
		return b.cost(ctx, command{argv: []string{b.fleet, "version"}})
	}}
	got, err := turns(ctx, b.rounds, list(file), list(ranges), version)
	if err != nil {
		return err
	}
	t := b.sheet("startup")
	t.time("100,000 hosts in a file, wall", got[0].wall(), 2*time.Second)
	t.memory("100,000 hosts in a file, peak RSS", got[0].rss(), 400<<20)
	t.time("100,000 hosts from ranges, wall", got[1].wall(), 500*time.Millisecond)
	t.note("100,000 hosts from ranges, peak RSS", "%s", peak(got[1].rss()))
	t.note("fleet version: wall, peak RSS", "%s, %s", short(got[2].wall()), peak(got[2].rss()))
	return nil
}

func longInventory(w *bufio.Writer, n int) {
	fmt.Fprintf(w, "defaults: {user: deploy}\nhosts:\n")
	for i := range n {
		fmt.Fprintf(w, "  host%06d: {address: 10.%d.%d.%d, port: 22, vars: {rack: r%d, role: web}}\n", i, i>>16, i>>8&255, i&255, i/40)
	}
	const groups = 1000
	fmt.Fprintf(w, "groups:\n")
	for g := range groups {
		fmt.Fprintf(w, "  g%03d:\n    vars: {cell: %d}\n    hosts:\n", g, g)
		for i := g; i < n; i += groups {
			fmt.Fprintf(w, "      - host%06d\n", i)
		}
	}
}

func rangeInventory(w *bufio.Writer, n int) {
	fmt.Fprintf(w, "defaults: {user: deploy}\nhosts:\n  host[000000-%06d]: {port: 22}\ngroups:\n", n-1)
	const per = 100
	for g := range n / per {
		fmt.Fprintf(w, "  g%03d: {vars: {cell: %d}, hosts: [\"host[%06d-%06d]\"]}\n", g, g, g*per, g*per+per-1)
	}
}

func foldScenario() scenario {
	return scenario{
		name: "fold", title: "folding 100,000 irregular names",
		how: "Instance ids, numbers with gaps, racks and nodes, names with a domain, shuffled with a fixed seed, " +
			"through `fleet hosts fold` and, where clustershell is installed, `nodeset -f`. At most three rounds.",
		run: (*bench).fold,
	}
}

func (b *bench) fold(ctx context.Context) error {
	dir, err := b.folder("fold")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "names")
	if err := writeTo(path, func(w *bufio.Writer) { irregular(w, 100_000) }); err != nil {
		return err
	}
	over1 := contender{"fleet hosts fold", func(ctx context.Context) (usage, error) {
		return b.cost(ctx, command{argv: []string{b.fleet, "hosts", "fold"}, stdin: path, check: contains("web[")})
	}}
	contenders := []contender{over1}
	nodeset, missing := exec.LookPath("nodeset")
	if missing == nil {
		contenders = append(contenders, contender{"nodeset -f", func(ctx context.Context) (usage, error) {
			return b.cost(ctx, command{argv: []string{nodeset, "-f"}, stdin: path, check: contains("web[")})
		}})
	}
	got, err := turns(ctx, min(b.rounds, 3), contenders...)
	if err != nil {
		return err
	}
	t := b.sheet("fold")
	t.note("fleet hosts fold: wall, peak RSS", "%s, %s", short(got[0].wall()), peak(got[0].rss()))
	if missing != nil {
		t.note("nodeset -f", "not installed (Debian package clustershell)")
		return nil
	}
	t.note("nodeset -f: wall, peak RSS", "%s, %s", short(got[1].wall()), peak(got[1].rss()))
	t.note("wall, fleet over nodeset", "%s", over(got[0], got[1], wall))
	return nil
}

// irregular writes n names, most of which do not fold well.
func irregular(w *bufio.Writer, n int) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"db", "kafka", "cache", "es"}
	for range n {
		switch random.IntN(10) {
		case 0, 1, 2, 3:
			fmt.Fprintf(w, "i-%08x\n", random.Uint32())
		case 4, 5, 6:
			fmt.Fprintf(w, "web%06d\n", random.IntN(200_000))
		case 7, 8:
			fmt.Fprintf(w, "rack%d-n%02d\n", random.IntN(400), random.IntN(100))
		default:
			fmt.Fprintf(w, "%s%d.dc%d.example\n", words[random.IntN(len(words))], random.IntN(5000), random.IntN(5))
		}
	}
}

func writeTo(path string, write func(*bufio.Writer)) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	write(w)
	if err := w.Flush(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
