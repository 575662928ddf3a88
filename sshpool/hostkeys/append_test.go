package hostkeys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// accepting is a policy that appends to file, which need not exist.
func accepting(t testing.TB, file string) *Policy {
	return &Policy{Mode: AcceptNew, Index: load(t, file), File: file}
}

func mustAccept(t *testing.T, p *Policy, addr string, key ssh.PublicKey) {
	t.Helper()
	if err := p.Check(addr, nil, key); err != nil {
		t.Errorf("%s: %v", addr, err)
	}
}

func TestAcceptNewMakesFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a", "b", "known_hosts")
	p := accepting(t, file)
	mustAccept(t, p, "Web1:22", fakeKey(1))
	mustAccept(t, p, "web1:22", fakeKey(1))
	mustAccept(t, p, "[::1]:2222", fakeKey(2))
	want := "web1 " + authorizedKey(fakeKey(1)) + "\n[::1]:2222 " + authorizedKey(fakeKey(2)) + "\n"
	if got := readText(t, file); got != want {
		t.Errorf("file holds %q\nwant %q", got, want)
	}
	for name, mode := range map[string]fs.FileMode{file: 0o600, filepath.Dir(file): 0o700 | fs.ModeDir} {
		if info, err := os.Stat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, want %v (%v)", name, info.Mode(), mode, err)
		}
	}
	if err := p.Unwritten(); err != nil {
		t.Error(err)
	}
	// Another key for the same name, in this run and in the next.
	for _, p := range []*Policy{p, accepting(t, file)} {
		var e *Error
		if !errors.As(p.Check("web1:22", nil, fakeKey(9)), &e) || e.Reason != ReasonChanged || e.Known[0].Place() != file+":1" {
			t.Errorf("another key: %v", e)
		}
	}
}

func TestAcceptNewHashed(t *testing.T) {
	file := knownHosts(t, "web9 "+authorizedKey(fakeKey(9)))
	p := accepting(t, file)
	p.Hash = true
	for n := range 20 {
		mustAccept(t, p, fmt.Sprintf("web%d:2222", n), fakeKey(n))
	}
	if text := readText(t, file); strings.Contains(text, "]:2222") || strings.Count(text, hashMagic) != 19 {
		t.Errorf("file holds\n%s", text) // web9 has this key without a port already
	}
	if got := oracle(t, file, "[web8]:2222"); !slices.Equal(got, []string{"10"}) {
		t.Errorf("ssh-keygen finds lines %q, want 10", got)
	}
	if got := reason(t, accepting(t, file), "web8:2222", fakeKey(1)); got != ReasonChanged {
		t.Errorf("another key: %q", got)
	}
}

func TestAcceptNewEndsLine(t *testing.T) {
	file := knownHosts(t)
	if err := os.WriteFile(file, []byte("web1 "+keyA), 0o600); err != nil {
		t.Fatal(err)
	}
	p := accepting(t, file)
	mustAccept(t, p, "web2:22", fakeKey(2))
	mustAccept(t, p, "web1:22", fakeKey(1))
	x := load(t, file)
	if x.Len() != 2 || x.Problems() != nil || p.Index.Len() != 2 {
		t.Errorf("%d lines read again, %d in the index, want 2; %v", x.Len(), p.Index.Len(), x.Problems())
	}
	if e := p.Index.Lookup("web2:22"); len(e) != 1 || e[0].Line != 2 {
		t.Errorf("web2 is at %v, want line 2", e)
	}
}

// TestAcceptNewReadsOthers: what another process added in the meantime counts.
func TestAcceptNewReadsOthers(t *testing.T) {
	file := knownHosts(t)
	ours, theirs := accepting(t, file), accepting(t, file)
	mustAccept(t, theirs, "web1:22", fakeKey(1))
	mustAccept(t, theirs, "web2:22", fakeKey(2))
	if got := reason(t, ours, "web1:22", fakeKey(9)); got != ReasonChanged {
		t.Errorf("another key than the one written by others: %q", got)
	}
	mustAccept(t, ours, "web2:22", fakeKey(2))
	if n := strings.Count(readText(t, file), "\n"); n != 2 {
		t.Errorf("file has %d lines, want 2", n)
	}
}

// TestAcceptNewFileReplaced: ssh-keygen -R puts a new file in the place of the old.
func TestAcceptNewFileReplaced(t *testing.T) {
	file := knownHosts(t, "web1 "+authorizedKey(fakeKey(1)), hashName("web2")+" "+authorizedKey(fakeKey(2)), "web3 "+authorizedKey(fakeKey(3)))
	p := accepting(t, file)
	if len(p.Index.Lookup("web2:22")) != 1 {
		t.Fatal("web2 is not known")
	}
	for _, name := range []string{"web1", "web2"} {
		if out, err := exec.Command("ssh-keygen", "-R", name, "-f", file).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	mustAccept(t, p, "web4:22", fakeKey(4)) // notices the new file
	mustAccept(t, p, "web1:22", fakeKey(11))
	mustAccept(t, p, "web2:22", fakeKey(12))
	if got := reason(t, p, "web3:22", fakeKey(13)); got != ReasonChanged {
		t.Errorf("web3: %q", got)
	}
	var names []string
	for line := range strings.Lines(readText(t, file)) {
		names = append(names, strings.Fields(line)[0])
	}
	if want := []string{"web3", "web4", "web1", "web2"}; !slices.Equal(names, want) {
		t.Errorf("file has %v, want %v", names, want)
	}
}

// TestAcceptNewTogether: thousands at once, two policies, one file.
func TestAcceptNewTogether(t *testing.T) {
	const hosts = 1000
	file := knownHosts(t)
	policies := []*Policy{accepting(t, file), accepting(t, file)}
	start := time.Now()
	var done sync.WaitGroup
	for n := range hosts {
		for i, p := range policies {
			done.Go(func() {
				addr := fmt.Sprintf("web%d:22", n)
				mustAccept(t, p, addr, fakeKey(n))
				if got := reason(t, policies[1-i], addr, fakeKey(n+hosts)); got != ReasonChanged {
					t.Errorf("%s: another key is %q", addr, got)
				}
			})
		}
	}
	done.Wait()
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("%d new hosts took %v", hosts, took)
	}
	wantUnique(t, file, hosts)
}

// wantUnique checks that each of a file's lines is whole and has a name of its own.
func wantUnique(t *testing.T, file string, want int) {
	t.Helper()
	x := load(t, file)
	if err := x.Problems(); err != nil {
		t.Error(err)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(readText(t, file)) {
		name, _, _ := strings.Cut(line, " ")
		if seen[name] {
			t.Errorf("%s stands there twice", name)
		}
		seen[name] = true
	}
	if len(seen) != want || x.Len() != want {
		t.Errorf("%d names and %d good lines, want %d", len(seen), x.Len(), want)
	}
}

// TestAcceptNewOneWins: of many keys for one host, one is accepted.
func TestAcceptNewOneWins(t *testing.T) {
	p := accepting(t, knownHosts(t))
	var mu sync.Mutex
	var accepted []int
	var done sync.WaitGroup
	for n := range 200 {
		done.Go(func() {
			if p.Check("web1:22", nil, fakeKey(n)) == nil {
				mu.Lock()
				accepted = append(accepted, n)
				mu.Unlock()
			}
		})
	}
	done.Wait()
	if len(accepted) != 1 {
		t.Fatalf("keys %v were accepted for one host", accepted)
	}
	if got, want := readText(t, p.File), "web1 "+authorizedKey(fakeKey(accepted[0]))+"\n"; got != want {
		t.Errorf("file holds %q, want %q", got, want)
	}
}

func TestAcceptNewProcesses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ssh", "known_hosts")
	const children = 4
	var done sync.WaitGroup
	for n := range children {
		done.Go(func() {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "HOSTKEYS_TEST_APPEND="+file, fmt.Sprintf("HOSTKEYS_TEST_CHILD=%d", n))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("child %d: %v\n%s", n, err, out)
			}
		})
	}
	done.Wait()
	wantUnique(t, file, 50+children*50)
}

// TestAcceptNewUnwritable: the key holds for the run, and one warning says so.
func TestAcceptNewUnwritable(t *testing.T) {
	folder := t.TempDir()
	locked := knownHosts(t)
	holder, err := os.OpenFile(locked, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if err := unix.Flock(int(holder.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ file, want string }{
		{"", "known_hosts: 2 new keys were not written: no file to write to"},
		{folder, "known_hosts: 2 new keys were not written: open " + folder + ": is a directory"},
		{"/proc/nowhere/known_hosts", "known_hosts: 2 new keys were not written: mkdir /proc/nowhere: no such file or directory"},
		{locked, "known_hosts: 2 new keys were not written: lock " + locked + ": held by another process"},
		{"/dev/full", "known_hosts: 2 new keys were not written: write /dev/full: no space left on device"},
		{"/dev/null", ""},
	} {
		p := &Policy{Mode: AcceptNew, File: c.file, keep: keeper{limit: 10 * time.Millisecond}}
		mustAccept(t, p, "web1:22", fakeKey(1))
		mustAccept(t, p, "web1:22", fakeKey(1))
		mustAccept(t, p, "web2:22", fakeKey(2))
		if got := reason(t, p, "web1:22", fakeKey(3)); got != ReasonChanged {
			t.Errorf("%s: another key in the same run is %q", c.file, got)
		}
		got := ""
		if err := p.Unwritten(); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("Unwritten() = %s\nwant %s", got, c.want)
		}
	}
}

// TestAcceptNewRefusesNames that would mean more than themselves in the file.
func TestAcceptNewRefusesNames(t *testing.T) {
	file := knownHosts(t)
	p := accepting(t, file)
	for _, host := range []string{"*", "web?", "!web1", "a,b", "a b", "a\nb", "|1|x", "#a", "@revoked", "", "a\x00"} {
		var e *Error
		if !errors.As(p.Check(host+":22", nil, fakeKey(1)), &e) || e.Reason != ReasonUnknown {
			t.Errorf("%q was accepted", host)
		}
	}
	if got := readText(t, file); got != "" {
		t.Errorf("file holds %q", got)
	}
}
