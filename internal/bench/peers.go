package main

import (
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Scripts for the libraries that have no command of their own.
//
//go:embed peers/*.py
var scripts embed.FS

// peer is a tool or library beside fleet.
type peer struct {
	name, pkg string // pkg: Debian packages that bring it
	hosts     int    // how many hosts it is given
	// find gives its version, or an error where it is not installed.
	find func(ctx context.Context) (version string, err error)
	// command is what runs probe over the first hosts of s, fanout at once.
	command func(s *server) command
}

const peerFanout = 100

// The tools that start an ssh process a host get fewer hosts: they are slow,
// and their figures are per host.
const (
	nativeHosts  = 1000
	processHosts = 200
)

func peersScenario() scenario {
	return scenario{
		name: "peers", title: "other tools on the same hosts",
		how: "`uname -r` on the same `fleet lab -n 1000`, 100 at once, by what is installed of pdsh, clush (both start an ssh process a host and are given 200 hosts), " +
			"AsyncSSH and Paramiko on gevent (scripts in `internal/bench/peers`, 1,000 hosts). All check host keys; all but pdsh fold output. " +
			"CPU counts the processes that they start; their peak RSS is that of the largest single process. Fleet takes its turn among them, with as many hosts as each has.",
		run: (*bench).peers,
	}
}

func (b *bench) peers(ctx context.Context) error {
	s, err := b.lab(ctx, nativeHosts)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := b.writePeerFiles(s); err != nil {
		return err
	}
	few := &server{dir: filepath.Join(s.dir, "few")}
	t := b.sheet("peers")
	for _, p := range peerList() {
		version, err := p.find(ctx)
		if err != nil {
			t.note(p.name, "not installed (Debian package %s)", p.pkg)
			continue
		}
		with := s
		if p.hosts == processHosts {
			with = few
		}
		got, err := turns(ctx, min(b.rounds, 3), b.fleetRun(with, "all", peerFanout, probe),
			contender{p.name, func(ctx context.Context) (usage, error) { return b.cost(ctx, p.command(s)) }})
		if err != nil {
			return err
		}
		fleet, other := got[0], got[1]
		t.process(fmt.Sprintf("%s %s, %s hosts", p.name, version, thousands(p.hosts)), other, p.hosts)
		t.process(fmt.Sprintf("fleet, %s hosts", thousands(p.hosts)), fleet, p.hosts)
		t.note(p.name+" over fleet: wall", "%s", over(other, fleet, wall))
		t.note(p.name+" over fleet: CPU", "%s", over(other, fleet, cpu))
	}
	return nil
}

func peerList() []peer {
	return []peer{
		{"AsyncSSH", "python3-asyncssh", nativeHosts, pythonModule("asyncssh"), pythonScript("asyncssh_run.py")},
		{"Paramiko on gevent", "python3-paramiko, python3-gevent", nativeHosts, pythonModule("paramiko", "gevent"), pythonScript("paramiko_run.py")},
		{"pdsh", "pdsh", processHosts, firstLine("pdsh", "-V"), pdsh},
		{"clush", "clustershell", processHosts, firstLine("clush", "--version"), clush},
	}
}

// python is Debian's, for which Debian's packages are.
const python = "/usr/bin/python3"

// pythonModule finds the version of the first of the modules, if all are there.
func pythonModule(modules ...string) func(context.Context) (string, error) {
	code := fmt.Sprintf("import %s; print(%s.__version__)", strings.Join(modules, ", "), modules[0])
	return firstLine(python, "-W", "ignore", "-c", code)
}

// firstLine finds a version in the first line that a program prints.
func firstLine(argv ...string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
		if err != nil {
			return "", err
		}
		line, _, _ := strings.Cut(string(out), "\n")
		for word := range strings.FieldsSeq(line) {
			for version := range strings.SplitSeq(word, "-") {
				if version != "" && version[0] >= '0' && version[0] <= '9' {
					return version, nil
				}
			}
		}
		return line, nil
	}
}

func pythonScript(name string) func(*server) command {
	return func(s *server) command {
		return command{
			argv: []string{python, filepath.Join(s.dir, name), s.key(), s.knownHosts(), s.addresses(),
				fmt.Sprint(nativeHosts), fmt.Sprint(peerFanout), probe},
			check: contains(fmt.Sprintf("ok %d\n", nativeHosts)),
		}
	}
}

func pdsh(s *server) command {
	return command{
		argv: []string{"pdsh", "-R", "ssh", "-S", "-f", fmt.Sprint(peerFanout), "-w", "^" + filepath.Join(s.dir, "ips"), probe},
		// -a -x are what pdsh itself gives to ssh.
		env:   []string{"PDSH_SSH_ARGS=-a -x -F " + filepath.Join(s.dir, "ssh_config") + " %h"},
		check: lineCount(processHosts),
	}
}

func clush(s *server) command {
	return command{
		argv: []string{"clush", "-S", "-b", "-f", fmt.Sprint(peerFanout), "-o", "-F " + filepath.Join(s.dir, "ssh_config"),
			"--hostfile", filepath.Join(s.dir, "ips"), probe},
		env:   []string{"CLUSTERSHELL_CFGDIR=" + s.dir},
		check: contains("127.90.0."),
	}
}

// writePeerFiles writes what the peers read: scripts, an ssh_config, a list of
// bare addresses, and the same hosts as an inventory for fleet.
func (b *bench) writePeerFiles(s *server) error {
	var ips, inventory strings.Builder
	var port string
	for _, addr := range s.hosts[:processHosts] {
		var ip string
		ip, port, _ = net.SplitHostPort(addr)
		fmt.Fprintln(&ips, ip)
	}
	fmt.Fprintf(&inventory, "defaults: {user: ops, port: %s, key: %q, known_hosts: %q}\nhosts:\n", port, s.key(), s.knownHosts())
	for ip := range strings.FieldsSeq(ips.String()) {
		fmt.Fprintf(&inventory, "  %s: {}\n", ip)
	}
	config := fmt.Sprintf("Host *\n  User ops\n  Port %s\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n"+
		"  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n", port, s.key(), s.knownHosts())
	files := map[string]string{"ips": ips.String(), "ssh_config": config, "few/hosts.yaml": inventory.String()}
	for _, name := range []string{"asyncssh_run.py", "paramiko_run.py"} {
		text, err := scripts.ReadFile("peers/" + name)
		if err != nil {
			return err
		}
		files[name] = string(text)
	}
	if err := os.MkdirAll(filepath.Join(s.dir, "few"), 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
