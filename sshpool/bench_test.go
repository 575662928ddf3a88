package sshpool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
	"fleet/scheduler"
	"fleet/sshpool/hostkeys"
)

// Benchmarks load a lab that runs in a process of its own, so that the figures
// are the client's alone. cpu-ms/host is user and system time.

// labEnv tells the test binary to be that process; its value is the folder.
const labEnv = "SSHPOOL_TEST_LAB"

const benchHosts = 1000

// serveLab is the other process: a lab until its stdin ends.
func serveLab(dir string) error {
	l, err := lab.Start(context.Background(), lab.Config{N: benchHosts, Prefix: "h", Dir: dir, BaseAddr: "127.120.0.0"})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.WriteFiles(); err != nil {
		return err
	}
	for _, h := range l.Hosts() {
		fmt.Println(h.Address, h.Port)
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// remoteLab starts the other process and gives the targets.
func remoteLab(b *testing.B) []Target {
	b.Helper()
	dir := b.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), labEnv+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	targets := make([]Target, benchHosts)
	lines := bufio.NewReader(stdout)
	for i := range targets {
		if _, err := fmt.Fscan(lines, &targets[i].Address, &targets[i].Port); err != nil {
			b.Fatal(err)
		}
	}
	index, err := hostkeys.Load(dir + "/known_hosts")
	if err != nil {
		b.Fatal(err)
	}
	auth, keys := &Auth{Keys: []string{dir + "/id_ed25519"}}, &hostkeys.Policy{Index: index}
	for i := range targets {
		targets[i].User, targets[i].Auth, targets[i].HostKeys = "lab", auth, keys
	}
	return targets
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// eachHost runs f over b.N hosts, 100 at once, and reports CPU time.
func eachHost(b *testing.B, targets []Target, f func(t Target) error) {
	b.Helper()
	if err := f(targets[0]); err != nil { // keys are read, code is paged in
		b.Fatal(err)
	}
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				if err := f(targets[i%len(targets)]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N)/1e6, "cpu-ms/host")
}

// BenchmarkBareLoop is the library alone: no host key check, no limits.
func BenchmarkBareLoop(b *testing.B) {
	targets := remoteLab(b)
	pem, err := os.ReadFile(targets[0].Auth.Keys[0])
	if err != nil {
		b.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		b.Fatal(err)
	}
	eachHost(b, targets, func(t Target) error {
		c, err := ssh.Dial("tcp", t.addr(), &ssh.ClientConfig{User: t.User,
			Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()})
		if err != nil {
			return err
		}
		defer c.Close()
		s, err := c.NewSession()
		if err != nil {
			return err
		}
		_, err = s.Output("hostname")
		return err
	})
}

func BenchmarkDialExec(b *testing.B) {
	eachHost(b, remoteLab(b), func(t Target) error {
		c, err := Dial(context.Background(), t)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Exec(context.Background(), "hostname", io.Discard, io.Discard)
		return err
	})
}

// BenchmarkPoller is the whole path of a run: connect, exec, release.
func BenchmarkPoller(b *testing.B) {
	targets := remoteLab(b)
	byName := make(map[string]Target, len(targets))
	for _, t := range targets {
		byName[t.Address] = t
	}
	pool := NewPool(PoolConfig{})
	defer pool.Close()
	p := NewPoller(pool, func(h string) (Target, error) { return byName[h], nil }, nil)
	defer p.Close()
	runtime.GC()
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime()
	var id scheduler.ID
	state := map[scheduler.ID]int{} // the host's number × 4 + how far it is
	submit := func(n int) {
		id++
		state[id] = n
		ops := []scheduler.Op{scheduler.Connect{}, scheduler.Exec{Command: "hostname"}, scheduler.Release{}}
		p.Submit(id, targets[n/4%len(targets)].Address, ops[n%4])
	}
	started := min(100, b.N)
	for i := range started {
		submit(4 * i)
	}
	for left := b.N; left > 0; {
		_, done := p.Poll(time.Time{})
		for _, c := range done {
			if c.Err != nil {
				b.Fatal(c.Err)
			}
			n := state[c.ID]
			delete(state, c.ID)
			if n%4 < 2 {
				submit(n + 1)
				continue
			}
			if left--; started < b.N {
				submit(4 * started)
				started++
			}
		}
	}
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N)/1e6, "cpu-ms/host")
}
