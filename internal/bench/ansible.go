package main

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

func ansibleScenario() scenario {
	return scenario{
		name: "ansible", title: "Ansible inventories",
		how: "`fleet hosts --output names` on 100,000 hosts as INI and as YAML, each with an address, a port and two variables, in 40 groups; " +
			"and, where ansible-core is installed, `fleet hosts --output json --vars` beside `ansible-inventory --list` on the INI file of 5,000 hosts. At most three rounds.",
		run: (*bench).ansible,
	}
}

func (b *bench) ansible(ctx context.Context) error {
	const n, few = 100_000, 5_000
	dir, err := b.folder("ansible")
	if err != nil {
		return err
	}
	ini, yml, small := filepath.Join(dir, "hosts.ini"), filepath.Join(dir, "hosts.yml"), filepath.Join(dir, "few")
	for path, write := range map[string]func(*bufio.Writer){
		ini: func(w *bufio.Writer) { ansibleINI(w, n) }, yml: func(w *bufio.Writer) { ansibleYAML(w, n) }, small: func(w *bufio.Writer) { ansibleINI(w, few) },
	} {
		if err := writeTo(path, write); err != nil {
			return err
		}
	}
	run := func(name string, check func([]byte) error, argv ...string) contender {
		return contender{name, func(ctx context.Context) (usage, error) { return b.cost(ctx, command{argv: argv, check: check}) }}
	}
	contenders := []contender{
		run("fleet, INI", lineCount(n), b.fleet, "hosts", "-i", ini, "--output", "names"),
		run("fleet, YAML", lineCount(n), b.fleet, "hosts", "-i", yml, "--output", "names"),
		run("fleet, few", contains("web004999"), b.fleet, "hosts", "-i", small, "--output", "json", "--vars"),
	}
	peer, missing := exec.LookPath("ansible-inventory")
	if missing == nil {
		contenders = append(contenders, run("ansible-inventory", contains("web004999"), peer, "-i", small, "--list"))
	}
	got, err := turns(ctx, min(b.rounds, 3), contenders...)
	if err != nil {
		return err
	}
	t := b.sheet("ansible")
	t.time("100,000 hosts as INI, wall", got[0].wall(), 2*time.Second)
	t.memory("100,000 hosts as INI, peak RSS", got[0].rss(), 500<<20)
	t.time("100,000 hosts as YAML, wall", got[1].wall(), 3*time.Second)
	t.memory("100,000 hosts as YAML, peak RSS", got[1].rss(), 500<<20)
	if missing != nil {
		t.note("ansible-inventory --list", "not installed (Debian package ansible-core)")
		return nil
	}
	t.note("5,000 hosts: fleet, ansible-inventory", "%s, %s", short(got[2].wall()), short(got[3].wall()))
	t.ratio("5,000 hosts, wall, fleet over ansible-inventory", over(got[2], got[3], wall), 0.05)
	return nil
}

func ansibleINI(w *bufio.Writer, n int) {
	for g := range 40 {
		fmt.Fprintf(w, "[rack%02d]\n", g)
		for i := g; i < n; i += 40 {
			fmt.Fprintf(w, "web%06d.example.com ansible_host=10.%d.%d.%d ansible_port=2222 serial=%d role=\"front end\"\n", i, i>>16, i>>8&255, i&255, i)
		}
		fmt.Fprintf(w, "[rack%02d:vars]\nrack=%d\n", g, g)
	}
	fmt.Fprintf(w, "[site:children]\n")
	for g := range 40 {
		fmt.Fprintf(w, "rack%02d\n", g)
	}
	fmt.Fprintf(w, "[all:vars]\nansible_user=deploy\n")
}

func ansibleYAML(w *bufio.Writer, n int) {
	fmt.Fprintf(w, "all:\n  vars:\n    ansible_user: deploy\n  children:\n    site:\n      children:\n")
	for g := range 40 {
		fmt.Fprintf(w, "        rack%02d:\n          vars:\n            rack: %d\n          hosts:\n", g, g)
		for i := g; i < n; i += 40 {
			fmt.Fprintf(w, "            web%06d.example.com:\n              ansible_host: 10.%d.%d.%d\n              ansible_port: 2222\n              serial: %d\n              role: front end\n", i, i>>16, i>>8&255, i&255, i)
		}
	}
}
