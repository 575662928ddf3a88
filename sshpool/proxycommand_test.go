package sshpool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// TestProxyCommand reaches a target by real ssh -W through a real server.
func TestProxyCommand(t *testing.T) {
	s := sshtest.OpenSSH(t)
	w := newWorld(t, lab.Config{Names: []string{"a"}})
	target := w.target(t, "a")
	target.ProxyCommand = fmt.Sprintf("ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=%s -i %s -p %d -W %s:%d %s@%s",
		s.KnownHosts, s.KeyFile, s.Port, target.Address, target.Port, s.User, s.Addresses[0])
	c := mustDial(t, target)
	in := strings.Repeat("x", 1<<20)
	var n countWriter
	if _, err := c.Run(testContext(t), Command{Text: "cat", Stdin: strings.NewReader(in), Stdout: &n}); err != nil || int(n) != len(in) {
		t.Errorf("%d bytes of %d, %v", n, len(in), err)
	}
	c.Close()
	p := newTestPool(t, PoolConfig{})
	eachTarget([]Target{target, target}, func(_ int, target Target) {
		if err := runOn(t, p, target); err != nil {
			t.Error(err)
		}
	})
	if n := w.Stats().Accepted; n != 2 {
		t.Errorf("%d connections", n)
	}
}

type countWriter int

func (c *countWriter) Write(b []byte) (int, error) {
	*c += countWriter(len(b))
	return len(b), nil
}

// TestProxyCommandFails wants to know why.
func TestProxyCommandFails(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"a"}})
	for command, want := range map[string]string{
		"echo no way >&2; exit 3": `proxy command ended: exit status 3: "no way"`,
		"exit 0":                  "proxy command ended",
		"kill -9 $$":              "proxy command ended: signal: killed",
		"head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1": "proxy command ended: exit status 1: " + strconv.Quote(strings.Repeat("x", 200)) + "...",
	} {
		target := w.target(t, "a")
		target.ProxyCommand = "sh -c " + quoted(command)
		p := newTestPool(t, PoolConfig{})
		e := wantError(t, runOn(t, p, target), KindConnLost, StageTCP)
		if e.Text != want || e.Sent {
			t.Errorf("%s: error %q, want %q", command, e.Text, want)
		}
	}
	if n := w.Stats().Accepted; n != 0 {
		t.Errorf("%d connections", n)
	}
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// TestProxyCommandEnds looks for what a proxy command leaves behind: nothing,
// whether it is closed, cancelled or too slow.
func TestProxyCommandEnds(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"a"}})
	pids := filepath.Join(t.TempDir(), "pids")
	target := w.target(t, "a")
	target.Limits.Banner = 300 * time.Millisecond
	target.ProxyCommand = "sh -c " + quoted(`trap "" TERM HUP; (echo $$ >>`+pids+`; exec sleep 1000) & echo $! >>`+pids+`; sleep 1000`)
	_, err := Dial(testContext(t), target)
	if e := wantError(t, err, KindTimeout, StageBanner); e.Text != "timeout in banner after 300ms" {
		t.Errorf("error %q", e.Text)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	ctx := testContext(t)
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		for alive(pid) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("process %d lives on", pid)
			}
		}
	}
}

// alive tells whether a process runs; one that nobody has waited for does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// TestProxyCommandAsFirstHop stands before a jump host.
func TestProxyCommandAsFirstHop(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"bastion", "a", "front"}})
	hop := w.bastion(t)
	front := w.target(t, "front")
	hop.Jump = []Target{front}
	if err := runOn(t, newTestPool(t, PoolConfig{}), w.behind(t, "a", hop)); err != nil {
		t.Error(err)
	}
	hop.Jump = nil
	hop.ProxyCommand = "sh -c 'exit 7'"
	err := runOn(t, newTestPool(t, PoolConfig{}), w.behind(t, "a", hop))
	if e := wantError(t, err, KindConnLost, StageTCP); e.Text != "jump host bastion: proxy command ended: exit status 7" {
		t.Errorf("error %q", e.Text)
	}
}

// elsewhere is a target of the lab that is called localhost, as all are that a
// command of their own reaches inside of something.
func (w *world) elsewhere(t *testing.T, name string) Target {
	t.Helper()
	sshtest.Need(t, "/usr/bin/busybox", "busybox")
	target := w.target(t, name)
	target.ProxyCommand = fmt.Sprintf("/usr/bin/busybox nc %s %d", target.Address, target.Port)
	target.KnownAs = target.addr()
	target.Address, target.Port = "localhost", 22
	return target
}

// TestProxyCommandsApart has hosts of the same address refuse logins: it is not
// for that that another is left alone, which another command reaches.
func TestProxyCommandsApart(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"a", "b"}, Faults: map[string]lab.Fault{"a": "deny-auth"}})
	p := newTestPool(t, PoolConfig{})
	for range maxRefusals {
		wantError(t, runOn(t, p, w.elsewhere(t, "a")), KindAuth, StageAuth)
	}
	if err := runOn(t, p, w.elsewhere(t, "b")); err != nil {
		t.Error(err)
	}
	if e := wantError(t, runOn(t, p, w.elsewhere(t, "a")), KindAuth, StageAuth); !e.untried {
		t.Errorf("%q: tried after %d refusals", e.Text, maxRefusals)
	}
}
