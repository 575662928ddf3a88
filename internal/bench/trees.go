package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// treeFiles and treeDirs are the files of the tree that is copied, 4 KiB each,
// and the folders that hold them.
const treeFiles, treeDirs = 10_000, 100

func treesScenario() scenario {
	return scenario{
		name: "trees", title: "10,000 files of 4 KiB, real OpenSSH",
		how: "`fleet push` and `fleet pull` of a tree, verified by SHA-256 on both sides, beside `rsync -a` over OpenSSH's ssh with AES-GCM, which does " +
			"not read back what it wrote. Each begins without a copy; `again` is the same once more, with nothing changed. The files are in memory (/dev/shm) where the machine has that.",
		run: (*bench).trees,
	}
}

func (b *bench) trees(ctx context.Context) error {
	if _, err := exec.LookPath("rsync"); err != nil {
		return err
	}
	s, err := b.openssh(ctx, 1)
	if err != nil {
		return err
	}
	defer s.stop()
	dir, err := b.memory("trees")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	src := filepath.Join(dir, "src")
	if err := smallFiles(src); err != nil {
		return err
	}
	t := b.sheet("trees")
	for _, way := range []string{"push", "pull"} {
		ours, theirs := filepath.Join(dir, way+"-fleet"), filepath.Join(dir, way+"-rsync")
		first, err := turns(ctx, b.rounds, b.rsync(s, way, src, theirs, true), b.fleetTree(s, way, src, ours, true))
		if err != nil {
			return err
		}
		again, err := turns(ctx, b.rounds, b.rsync(s, way, src, theirs, false), b.fleetTree(s, way, src, ours, false))
		if err != nil {
			return err
		}
		t.ratio(way+": wall over rsync -a", over(first[1], first[0], wall), 1.1)
		t.ratio(way+" again: wall over rsync -a", over(again[1], again[0], wall), 1.5)
		t.note(way+": wall of fleet, of rsync", "%s, %s", short(first[1].wall()), short(first[0].wall()))
		t.note(way+" again: wall of fleet, of rsync", "%s, %s", short(again[1].wall()), short(again[0].wall()))
	}
	return nil
}

// smallFiles writes the tree.
func smallFiles(dir string) error {
	for i := range treeFiles {
		name := filepath.Join(dir, fmt.Sprintf("d%02d", i%treeDirs), fmt.Sprintf("f%05d", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := randomFile(name, 4<<10); err != nil {
			return err
		}
	}
	return nil
}

// fleetTree copies the tree by fleet, into a folder that is removed before where
// it is to be fresh.
func (b *bench) fleetTree(s *server, way, src, dst string, fresh bool) contender {
	argv := []string{b.fleet, way, "-i", s.inventory(), "-o", "quiet", "--no-input", "--no-record", "all", src + "/", dst}
	return contender{"fleet " + way, func(ctx context.Context) (usage, error) {
		if fresh {
			if err := os.RemoveAll(dst); err != nil {
				return usage{}, err
			}
		}
		return b.cost(ctx, command{argv: argv, env: []string{"FLEET_SSH_CONFIG=none"}})
	}}
}

// rsync does the same.
func (b *bench) rsync(s *server, way, src, dst string, fresh bool) contender {
	addr, port, _ := net.SplitHostPort(s.hosts[0])
	shell := fmt.Sprintf("ssh -F none -c aes128-gcm@openssh.com -o IdentitiesOnly=yes -o UserKnownHostsFile=%s -i %s -p %s", s.knownHosts(), s.key(), port)
	from, to := src+"/", s.user+"@"+addr+":"+dst
	if way == "pull" {
		from, to = s.user+"@"+addr+":"+src+"/", dst
	}
	return contender{"rsync -a", func(ctx context.Context) (usage, error) {
		if fresh {
			if err := os.RemoveAll(dst); err != nil {
				return usage{}, err
			}
		}
		return b.cost(ctx, command{argv: []string{"rsync", "-a", "-e", shell, from, to}})
	}}
}
