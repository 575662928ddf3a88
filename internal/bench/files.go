package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func filesScenario() scenario {
	return scenario{
		name: "files", title: "one file of 1 GiB, and of 100 MiB to 100 hosts, real OpenSSH",
		how: "`internal/bench/move` puts and gets one file through fleet/sshpool (`Files.Put`, `Files.Get`), start and login included, beside OpenSSH's own `sftp -b` " +
			"with AES-GCM. Verified means that both sides were hashed and compared: there `sftp` is followed by one `sha256sum` of each side. What we put is also " +
			"synced (fsync) and renamed into place, which `sftp` does not do. The files are in memory (/dev/shm) where the machine has that, so that the disk is not what is compared. " +
			"100 hosts are 100 addresses of sshd, all at once; CPU is the client's, beside that for the same bytes to one host one after the other.",
		run: (*bench).files,
	}
}

func (b *bench) files(ctx context.Context) error {
	const n = 100
	s, err := b.openssh(ctx, n)
	if err != nil {
		return err
	}
	defer s.stop()
	dir, err := b.memory("files")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	big, small := filepath.Join(dir, "big"), filepath.Join(dir, "small")
	if err := randomFile(big, 1<<30); err != nil {
		return err
	}
	if err := randomFile(small, 100<<20); err != nil {
		return err
	}
	there, back := filepath.Join(dir, "there"), filepath.Join(dir, "back")
	if err := b.oneFile(ctx, s, big, there, back); err != nil {
		return err
	}
	return b.manyHosts(ctx, s, small, there, n)
}

// oneFile compares a push and a pull with sftp's.
func (b *bench) oneFile(ctx context.Context, s *server, src, there, back string) error {
	t := b.sheet("files")
	for _, way := range []struct {
		name     string
		get      bool
		verified bool
	}{
		{"push", false, false}, {"push, verified", false, true}, {"pull", true, false}, {"pull, verified", true, true},
	} {
		batch, from, to := "put "+src+" "+there, src, there
		if way.get {
			batch, from, to = "get "+there+" "+back, there, back
		}
		hashes := []string(nil)
		if way.verified {
			hashes = []string{from, to}
		}
		got, err := turns(ctx, b.rounds, b.sftp(s, 0, batch, hashes), b.move(s, "move", way.get, way.verified, 1, from, to))
		if err != nil {
			return err
		}
		sftp, ours := got[0], got[1]
		t.ratio(way.name+": wall over sftp", over(ours, sftp, wall), 1.1)
		t.note(way.name+": wall of move, of sftp", "%s, %s", short(ours.wall()), short(sftp.wall()))
		t.note(way.name+": client CPU over sftp", "%s", over(ours, sftp, cpu))
	}
	return nil
}

// manyHosts compares what one host and many cost.
func (b *bench) manyHosts(ctx context.Context, s *server, src, there string, n int) error {
	const one = 10 // of the bytes that all hosts get
	got, err := turns(ctx, min(b.rounds, 3), b.move(s, "one host", false, true, 1, src, there, "-repeat", fmt.Sprint(one)),
		b.move(s, "all hosts", false, true, n, src, there))
	if err != nil {
		return err
	}
	single, all := got[0], got[1]
	var a, each []float64
	for i := range all {
		a = append(a, all[i].cpu.Seconds()/float64(n))
		each = append(each, single[i].cpu.Seconds()/one)
	}
	t := b.sheet("files")
	t.ratio("100 MiB to 100 hosts: client CPU over one host's", spread(a, each), 1.2)
	t.memory("100 MiB to 100 hosts: peak RSS", all.rss(), 256<<20)
	t.note("100 MiB to 100 hosts: wall", "%s", short(all.wall()))
	return nil
}

func farFilesScenario() scenario {
	const rtt = 100 * time.Millisecond
	return scenario{
		name: "far", title: "one file of 100 MiB at 100 ms round trip, real OpenSSH",
		how: "As files, without verification, through a proxy that holds every byte back for 50 ms in each direction. Both clients and sshd have " +
			"a window of 2 MiB a channel, which at 100 ms is 20 MiB a second.",
		run: func(b *bench, ctx context.Context) error { return b.farFiles(ctx, rtt) },
	}
}

func (b *bench) farFiles(ctx context.Context, rtt time.Duration) error {
	s, err := b.openssh(ctx, 1)
	if err != nil {
		return err
	}
	defer s.stop()
	dir, err := b.memory("far")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	src, there, back := filepath.Join(dir, "src"), filepath.Join(dir, "there"), filepath.Join(dir, "back")
	if err := randomFile(src, 100<<20); err != nil {
		return err
	}
	proxy, err := delay(s.hosts[0], rtt/2)
	if err != nil {
		return err
	}
	defer proxy.Close()
	far := &server{dir: s.dir, user: s.user, hosts: []string{proxy.Addr().String()}}
	if err := far.knowAs(s); err != nil {
		return err
	}
	t := b.sheet("far")
	for _, get := range []bool{false, true} {
		name, batch, from, to := "push", "put "+src+" "+there, src, there
		if get {
			name, batch, from, to = "pull", "get "+there+" "+back, there, back
		}
		got, err := turns(ctx, min(b.rounds, 3), b.sftp(far, 0, batch, nil), b.move(far, "move", get, false, 1, from, to))
		if err != nil {
			return err
		}
		t.ratio(name+": speed of sftp over ours", over(got[1], got[0], wall), 1/0.9)
		t.note(name+": wall of move, of sftp", "%s, %s", short(got[1].wall()), short(got[0].wall()))
	}
	return nil
}

// knowAs has the host of s, at another address, known by its key.
func (s *server) knowAs(other *server) error {
	known, err := os.ReadFile(other.knownHosts())
	if err != nil {
		return err
	}
	key := strings.SplitN(strings.SplitN(string(known), "\n", 2)[0], " ", 2)[1]
	host, port, _ := net.SplitHostPort(s.hosts[0])
	if err := os.WriteFile(s.knownHosts(), []byte(string(known)+fmt.Sprintf("[%s]:%s %s\n", host, port, key)), 0o600); err != nil {
		return err
	}
	return os.WriteFile(s.addresses(), []byte(s.hosts[0]+"\n"), 0o600)
}

// memory makes a folder in memory where the machine has such a place.
func (b *bench) memory(name string) (string, error) {
	if dir, err := os.MkdirTemp("/dev/shm", "fleet-bench-"+name+"-"); err == nil {
		return dir, nil
	}
	return b.folder(name)
}

func randomFile(name string, size int64) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.Reader, size); err != nil {
		return err
	}
	return f.Sync()
}

// sftp is OpenSSH's client with a batch of one line, and then the hashes of files.
func (b *bench) sftp(s *server, host int, batch string, hashes []string) contender {
	addr, port, _ := net.SplitHostPort(s.hosts[host])
	script := `printf '%s\n' "$1" | sftp -q -b - -F none -c aes128-gcm@openssh.com -o UserKnownHostsFile="$2" -o IdentitiesOnly=yes -i "$3" -P "$4" "$5"; r=$?
shift 5; for f; do sha256sum "$f" || exit 1; done; exit $r`
	argv := append([]string{"sh", "-c", script, "sh", batch, s.knownHosts(), s.key(), port, s.user + "@" + addr}, hashes...)
	return contender{"sftp", func(ctx context.Context) (usage, error) {
		if _, err := exec.LookPath("sftp"); err != nil {
			return usage{}, err
		}
		return b.cost(ctx, command{argv: argv})
	}}
}

// move is our side of it. Puts to several hosts are removed again.
func (b *bench) move(s *server, name string, get, verify bool, n int, from, to string, more ...string) contender {
	argv := []string{b.tool("move"), "-user", s.user, "-key", s.key(), "-known-hosts", s.knownHosts(), "-addresses", s.addresses(),
		fmt.Sprintf("-get=%v", get), fmt.Sprintf("-verify=%v", verify), fmt.Sprintf("-remove=%v", !get), "-n", fmt.Sprint(n)}
	argv = append(append(argv, more...), from, to)
	return contender{name, func(ctx context.Context) (usage, error) { return b.cost(ctx, command{argv: argv}) }}
}
