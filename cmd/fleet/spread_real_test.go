package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// spreadFleet is three real servers with homes of their own, a file for them, and
// what runs fleet on them. The ssh of the first is as said, if not empty.
type spreadFleet struct {
	t       *testing.T
	servers []*sshtest.Server
	dir     string // holds a folder for each host
	file    string
	env     []string
}

func newSpreadFleet(t *testing.T, ssh string) *spreadFleet {
	t.Helper()
	f := &spreadFleet{t: t, dir: t.TempDir()}
	home := t.TempDir()
	known, inv := "", "hosts:\n"
	for i := range 3 {
		opts := []sshtest.Option{sshtest.Listen(fmt.Sprintf("127.0.2.%d", i+1)), sshtest.HomeKeys()}
		if i == 0 && ssh != "" {
			bin := t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte("#!/bin/sh\n"+ssh), 0o755); err != nil {
				t.Fatal(err)
			}
			opts = append(opts, sshtest.Env("PATH="+bin+":/usr/bin:/bin"))
		}
		s := sshtest.OpenSSH(t, opts...)
		f.servers = append(f.servers, s)
		keys, err := os.ReadFile(s.KnownHosts)
		if err != nil {
			t.Fatal(err)
		}
		known += string(keys)
		name := fmt.Sprintf("web%02d", i+1)
		inv += fmt.Sprintf("  %s: {address: %s, port: %d, user: %s, key: %q}\n", name, s.Addresses[0], s.Port, s.User, s.KeyFile)
		if err := os.Mkdir(filepath.Join(f.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	f.file = filepath.Join(home, "big.iso")
	data := make([]byte, 9<<20)
	rand.Read(data)
	for name, text := range map[string][]byte{"hosts.yaml": []byte(inv), "known": []byte(known), "big.iso": data} {
		if err := os.WriteFile(filepath.Join(home, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f.env = append(os.Environ(), "FLEET_INVENTORY="+home+"/hosts.yaml", "HOME="+home)
	f.env = append(f.env, "FLEET_KNOWN="+home+"/known")
	return f
}

// push is a push of the file to all, the first host first of all.
func (f *spreadFleet) push(args ...string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	f.t.Helper()
	exe, err := exec.LookPath("fleet")
	if err != nil {
		f.t.Fatal(err)
	}
	known := strings.TrimPrefix(f.env[len(f.env)-1], "FLEET_KNOWN=")
	cmd = exec.Command(exe, append(append([]string{"push", "--known-hosts", known, "--spread", "1", "--serial", "1,2"}, args...), "all", f.file, f.dir+"/{{.Host}}/")...)
	cmd.Env = f.env
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd, stdout, stderr
}

// keys is authorized_keys of each host.
func (f *spreadFleet) keys() (all []string) {
	f.t.Helper()
	for _, s := range f.servers {
		text, err := os.ReadFile(filepath.Join(s.Dir, ".ssh/authorized_keys"))
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, string(text))
	}
	return all
}

// TestSpread pushes to hosts that get the file from the first, and tells so.
func TestSpread(t *testing.T) {
	t.Parallel()
	f := newSpreadFleet(t, "")
	before := f.keys()
	cmd, stdout, stderr := f.push("-o", "jsonl")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if n := strings.Count(stdout.String(), `"from":"web0`); n != 2 || strings.Count(stdout.String(), `"seed":true`) != 1 {
		t.Errorf("%d hosts of 2 were served:\n%s", n, stdout)
	}
	if after := f.keys(); strings.Join(after, "\x00") != strings.Join(before, "\x00") {
		t.Errorf("authorized_keys was %q, is %q", before, after)
	}
	for _, s := range f.servers {
		if strings.Contains(s.Log(), "PRIVATE KEY") {
			t.Error("a log holds a private key")
		}
	}
	// What hosts have already they give to those that have it not.
	if err := os.Remove(filepath.Join(f.dir, "web03/big.iso")); err != nil {
		t.Fatal(err)
	}
	cmd, _, stderr = f.push("--serial", "2,1")
	if err := cmd.Run(); err != nil || !strings.Contains(stderr.String(), "\nspread: 1 by web0") {
		t.Errorf("%v\n%s", err, stderr)
	}
}

// TestSpreadStopped stops a run, and kills another, while a temporary key is let in
// on hosts: it is taken out again in both cases, and nothing of the file is left.
func TestSpreadStopped(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{os.Interrupt, os.Kill} {
		t.Run(sig.String(), func(t *testing.T) {
			f := newSpreadFleet(t, `[ "$1" = -V ] && exec /usr/bin/ssh -V
(head -c 3000000; exec sleep 1000) | /usr/bin/ssh "$@"
`)
			before := strings.Join(f.keys(), "\x00")
			cmd, _, stderr := f.push()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			defer late.Stop()
			sshtest.Until(t, "a temporary key", func() bool {
				return strings.Contains(strings.Join(f.keys(), "\x00"), `restrict,from="127.0.2.1,127.0.0.1`)
			})
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			cmd.Wait() //nolint:errcheck // the status says more
			if got := cmd.ProcessState.ExitCode(); sig == os.Interrupt && got != exitInterrupted {
				t.Errorf("status %d, want %d\n%s", got, exitInterrupted, stderr)
			}
			sshtest.Until(t, "keys as before", func() bool { return strings.Join(f.keys(), "\x00") == before })
			sshtest.Until(t, "empty folders", func() bool {
				list, err := filepath.Glob(f.dir + "/web0[23]/.*")
				return err == nil && len(list) == 0
			})
		})
	}
}
