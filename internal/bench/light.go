package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// probe is the command that hosts are sent: hosts of one kind answer alike, so
// that folding has something to do.
const probe = "uname -r"

// fleetRun is `fleet run` over the hosts of a server that pattern selects,
// host keys checked, output folded. Its exit status is 0 only if each host was
// reached, checked, and gave an exit status of 0.
func (b *bench) fleetRun(s *server, pattern string, fanout int, cmd string) contender {
	return contender{"fleet", func(ctx context.Context) (usage, error) {
		return b.cost(ctx, command{argv: []string{b.fleet, "run", "-i", s.inventory(),
			"-o", "group", "-f", strconv.Itoa(fanout), "--no-input", "--color", "never", pattern, "--", cmd}})
	}}
}

// bareLoop is the loop that does nothing else, over the first n hosts.
func (b *bench) bareLoop(s *server, n, fanout int, cmd string) contender {
	return contender{"bare loop", func(ctx context.Context) (usage, error) {
		return b.cost(ctx, command{
			argv: []string{b.tool("bare"), "-user", s.user, "-key", s.key(), "-addresses", s.addresses(),
				"-n", strconv.Itoa(n), "-fanout", strconv.Itoa(fanout), cmd},
			check: contains(fmt.Sprintf("ok %d\n", n)),
		})
	}}
}

func lightScenario() scenario {
	return scenario{
		name: "light", title: "1,000 hosts, 100 at once, a light server on loopback",
		how: "`fleet lab -n 1000`, a process of its own, is the server; it uses about as much CPU as the client, on the same cores. " +
			"`fleet run -o group -f 100 all -- 'uname -r'` checks host keys, collects and folds output; the bare loop " +
			"(`internal/bench/bare`: ssh.Dial, NewSession, Output, Close on 100 goroutines) accepts any host key and drops " +
			"the output. Both log in with the same Ed25519 key.",
		run: (*bench).light,
	}
}

func (b *bench) light(ctx context.Context) error {
	const n, fanout = 1000, 100
	s, err := b.lab(ctx, n)
	if err != nil {
		return err
	}
	defer s.stop()
	got, err := turns(ctx, b.rounds, b.bareLoop(s, n, fanout, probe), b.fleetRun(s, "all", fanout, probe))
	if err != nil {
		return err
	}
	bare, fleet := got[0], got[1]
	t := b.sheet("light")
	t.ratio("client CPU, fleet over bare loop", over(fleet, bare, cpu), 1.15)
	t.ratio("wall, fleet over bare loop", over(fleet, bare, wall), 1.2)
	t.memory("peak RSS of fleet", fleet.rss(), 40<<20)
	t.process("fleet", fleet, n)
	t.process("bare loop", bare, n)
	return nil
}

func realScenario() scenario {
	return scenario{
		name: "real", title: "50 real OpenSSH hosts, one at a time",
		how: "Debian's sshd on 50 loopback addresses with a configuration of its own (MaxStartups raised, no PAM), fanout 1, command `true`. " +
			"Latency is the wall time of the whole process over the number of hosts.",
		run: (*bench).real,
	}
}

func (b *bench) real(ctx context.Context) error {
	const n = 50
	s, err := b.openssh(ctx, n)
	if err != nil {
		return err
	}
	defer s.stop()
	got, err := turns(ctx, b.rounds, b.bareLoop(s, n, 1, "true"), b.fleetRun(s, "all", 1, "true"))
	if err != nil {
		return err
	}
	bare, fleet := got[0], got[1]
	t := b.sheet("real")
	t.ratio("latency a host, fleet over bare loop", over(fleet, bare, wall), 0.6)
	t.note("latency a host: fleet, bare loop", "%s, %s", short(fleet.wall()/n), short(bare.wall()/n))
	t.note("client CPU, fleet over bare loop", "%s", over(fleet, bare, cpu))
	return nil
}

func tenScenario() scenario {
	return scenario{
		name: "ten", title: "10,000 hosts, `true` on each",
		how: "`fleet lab -n 10000`; an exit status other than 0, which one bad host is enough for, counts as not measured. " +
			"At most three rounds.",
		run: (*bench).ten,
	}
}

func (b *bench) ten(ctx context.Context) error {
	const n = 10_000
	s, err := b.lab(ctx, n)
	if err != nil {
		return err
	}
	defer s.stop()
	fanouts := []int{100, 1000}
	var contenders []contender
	for _, f := range fanouts {
		contenders = append(contenders, b.fleetRun(s, "all", f, "true"))
	}
	got, err := turns(ctx, min(b.rounds, 3), contenders...)
	if err != nil {
		return err
	}
	t := b.sheet("ten")
	for i, f := range fanouts {
		at := fmt.Sprintf(", %s at once", thousands(f))
		t.b.add(row{"ten", "hosts that were not ok" + at, "0", "0", true})
		t.memory("peak RSS of fleet"+at, got[i].rss(), 600<<20)
		t.process("fleet"+at, got[i], n)
	}
	return nil
}

func rttScenario() scenario {
	return scenario{
		name: "rtt", title: "1,000 hosts at 50 ms round trip, all at once",
		how: "`fleet lab -n 1000 --rtt 50ms`, fanout 1,000. The target is 1.3 × (one host's own time + the CPU floor). " +
			"One host's own time is `fleet run -f 1000` on one host of the same lab, start of the process included. The CPU floor is what " +
			"1,000 hosts cost this machine whatever the client waits for: the CPU time of the bare loop over the same 1,000 hosts " +
			"plus that of the lab meanwhile (/proc/PID/stat), over the number of cores, as client and lab share these. " +
			"It is the bare loop's and not fleet's, so that waste in fleet cannot raise what fleet is allowed.",
		run: (*bench).rtt,
	}
}

func (b *bench) rtt(ctx context.Context) error {
	const n = 1000
	s, err := b.lab(ctx, n, "--rtt", "50ms")
	if err != nil {
		return err
	}
	defer s.stop()
	first, err := b.firstName(ctx, s)
	if err != nil {
		return err
	}
	var serving []time.Duration // the lab's CPU time during each bare loop
	bareLoop := b.bareLoop(s, n, n, probe)
	counted := contender{bareLoop.name, func(ctx context.Context) (usage, error) {
		before, err := s.cpu()
		if err != nil {
			return usage{}, err
		}
		u, err := bareLoop.run(ctx)
		if err != nil {
			return u, err
		}
		after, err := s.cpu()
		serving = append(serving, after-before)
		return u, err
	}}
	got, err := turns(ctx, b.rounds, b.fleetRun(s, first, n, probe), counted, b.fleetRun(s, "all", n, probe))
	if err != nil {
		return err
	}
	one, bare, all := got[0], got[1], got[2]
	var allowed, floors []float64
	for i := range all {
		floor := (bare[i].cpu + serving[i+1]).Seconds() / float64(cores()) // serving[0] is of the warm-up
		floors = append(floors, floor)
		allowed = append(allowed, one[i].wall.Seconds()+floor)
	}
	t := b.sheet("rtt")
	t.ratio("wall over (one host's time + CPU floor)", spread(all.each(wall), allowed), 1.3)
	t.note("wall: fleet, bare loop", "%s, %s", short(all.wall()), short(bare.wall()))
	t.note("one host's own time, CPU floor", "%s, %s", short(one.wall()), short(seconds(median(floors))))
	t.process("fleet", all, n)
	return nil
}
