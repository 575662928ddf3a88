package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fleet/internal/sshtest"
)

// TestRealRollouts guards runs over four addresses of real servers, whose
// commands leave their marks in a folder of this machine.
func TestRealRollouts(t *testing.T) {
	servers := map[string]func(testing.TB, ...sshtest.Option) *sshtest.Server{"openssh": sshtest.OpenSSH, "dropbear": sshtest.Dropbear}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fleet := realFleet(t, start(t, sshtest.Listen("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")))
			for _, c := range []struct {
				name string
				run  func(t *testing.T, fleet realRun, marks string)
			}{
				{"gate", realGate}, {"gate on a host", realGateOnHost}, {"retries", realRetries},
				{"straggler", realStraggler}, {"outputs", realOutputs},
			} {
				t.Run(c.name, func(t *testing.T) { c.run(t, fleet, t.TempDir()) })
			}
		})
	}
}

type realRun func(args ...string) (stdout, stderr string, status int)

// marked says how often each host left its mark.
func marked(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s:%d", e.Name(), strings.Count(string(data), "\n")))
	}
	return strings.Join(all, " ")
}

func realGate(t *testing.T, fleet realRun, dir string) {
	_, stderr, status := fleet("run", "-T", "--serial", "1,2", "--gate", "cat "+dir+"/*; test $(cat "+dir+"/* | wc -l) -lt 3",
		"all", "--", "echo {{ .Host }} >> "+dir+"/{{ .Host }}")
	if got := marked(t, dir); status != exitHalted || got != "web01:1 web02:1 web03:1" {
		t.Errorf("status %d, marks %s\n%s", status, got, stderr)
	}
	for _, want := range []string{"gate: web01\n", "web[01-03]: ok\n", "web04: not started: gate after batch 2: exit status 1\n"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("no %q in:\n%s", want, stderr)
		}
	}
}

func realGateOnHost(t *testing.T, fleet realRun, dir string) {
	_, stderr, status := fleet("run", "-T", "--canary", "1", "--gate", "echo asked $FLEET_BATCH/$FLEET_BATCHES $FLEET_HOSTS ok=$FLEET_OK; test -e "+dir+"/web01; exit $?", "--gate-host", "web04",
		"web[01-03]", "--", "echo >> "+dir+"/{{ .Host }}")
	if got := marked(t, dir); status != exitOK || got != "web01:1 web02:1 web03:1" || !strings.Contains(stderr, "gate: asked 1/2 web01 ok=1\n") {
		t.Errorf("status %d, marks %s\n%s", status, got, stderr)
	}
	_, stderr, status = fleet("run", "--canary", "1", "--gate", "sleep 600", "--gate-timeout", "1s", "--gate-host", "web04", "all", "--", "true")
	if status != exitHalted || !strings.Contains(stderr, "gate after batch 1: timeout in command after 1s") {
		t.Errorf("status %d\n%s", status, stderr)
	}
}

func realRetries(t *testing.T, fleet realRun, dir string) {
	command := "echo >> " + dir + "/{{ .Host }}; test $(wc -l < " + dir + "/{{ .Host }}) = 2 || exit 75"
	stdout, stderr, status := fleet("run", "-T", "-o", "jsonl", "--retries", "3", "--retry-on", "exit=75", "--retry-delay", "10ms", "all", "--", command)
	if got := marked(t, dir); status != exitOK || got != "web01:2 web02:2 web03:2 web04:2" {
		t.Errorf("status %d, marks %s\n%s", status, got, stderr)
	}
	if n := strings.Count(stdout, `"tries":2,`); n != 4 {
		t.Errorf("%d results of two tries:\n%s", n, stdout)
	}
}

func realStraggler(t *testing.T, fleet realRun, dir string) {
	_, stderr, status := fleet("run", "-T", "--straggler-after", "3s", "--straggler", "cut", "all", "--",
		"test {{ .Host }} != web02 || { echo $$ > "+dir+"/pid; exec sleep 600; }")
	if status != exitFailed || !strings.Contains(stderr, "web02: cut as a straggler after 3s") || !strings.Contains(stderr, "ok 3") {
		t.Errorf("status %d\n%s", status, stderr)
	}
	data, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); syscall.Kill(pid, 0) == nil; <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d of a host that was cut still runs", pid)
		}
	}
}

func realOutputs(t *testing.T, fleet realRun, dir string) {
	stdout, stderr, status := fleet("run", "--diff", "--expect-same", "--mask", "times,pids,host", "--out-dir", dir, "-T", "all", "--",
		"date; echo sh[$$]; echo {{ .Host }} {{ .Address }}; test {{ .Host }} != web03 || printf '\\377\\000'")
	if status != exitFailed || !strings.Contains(stderr, "2 kinds of output") {
		t.Errorf("status %d\n%s", status, stderr)
	}
	if !strings.Contains(stdout, "── web[01-02,04] (3 hosts) ──\n<time>\nsh[<pid>]\n<host> <host>\n") || !strings.Contains(stdout, "+++ web03\n") {
		t.Errorf("group:\n%s", stdout)
	}
	data, err := os.ReadFile(filepath.Join(dir, "web03.out"))
	if err != nil || !strings.HasSuffix(string(data), "web03 127.0.0.3\n\xff\x00") {
		t.Errorf("%q, %v", data, err)
	}
}
