package hostkeys

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestRemoveOracle takes names out of random files, plain and hashed, with
// comments, and wants what ssh-keygen -R leaves of them. Where a file has broken
// lines ssh-keygen leaves it alone and only tells which lines it found.
func TestRemoveOracle(t *testing.T) {
	removed := 0
	for seed := range uint64(12) {
		s := scribe{rand.New(rand.NewPCG(seed, 2))}
		odd := []string{"", "# web1 comment", "   ", "  # web2", "web1 ssh-ed25519 AAAA"}
		if seed%3 == 0 {
			odd = append(odd, "web1", "web1 ssh-ed25519", "web1 ssh-ed25519 ", "web1 # x", "web1 ssh-ed25519 # x",
				"|1|nonsense ssh-ed25519 AAAA", "@nosuch web1 ssh-ed25519 AAAA", "web1 nosuch AAAA", "web1 256 35 1")
		}
		var lines []string
		for n := range 40 {
			lines = append(lines, s.line(n))
			if s.r.IntN(3) == 0 {
				lines = append(lines, s.pick(odd...))
			}
		}
		text := strings.Join(lines, "\n") + s.pick("\n", "")
		base := filepath.Join(t.TempDir(), "known_hosts")
		writeFile(t, base, text)
		if seed%2 == 1 {
			if out, err := exec.Command("ssh-keygen", "-H", "-f", base).CombinedOutput(); err != nil && !strings.Contains(string(out), "invalid") {
				t.Fatalf("ssh-keygen -H: %v\n%s", err, out)
			}
			text = readText(t, base)
		}
		for _, addr := range []string{"web1:22", "web2:2222", "web3.example.org:22", "[::1]:22", "10.0.0.1:2222", "nobody:22"} {
			removed += compareRemove(t, text, addr)
		}
	}
	if removed < 300 {
		t.Errorf("only %d lines removed in all: the files ask too little", removed)
	}
}

// compareRemove takes addr out of text in both ways and gives the number of lines.
func compareRemove(t *testing.T, text, addr string) int {
	t.Helper()
	dir := t.TempDir()
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	writeFile(t, theirs, text)
	writeFile(t, ours, text)
	name, _ := lineName(addr)
	out, err := exec.Command("ssh-keygen", "-R", name, "-f", theirs).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	gone, err := Remove(ours, []string{addr}, false)
	if err != nil {
		t.Fatal(err)
	}
	got, want := readText(t, ours), readText(t, theirs)
	lines := strings.SplitAfter(text, "\n")
	refused := strings.Contains(string(out), "Not replacing")
	for _, g := range gone {
		if !strings.Contains(string(out), "found: line "+strconv.Itoa(g.Line)+"\n") {
			t.Errorf("%s: ssh-keygen does not find line %d, %q", name, g.Line, lines[g.Line-1])
		}
		lines[g.Line-1] = ""
	}
	if n := strings.Count(string(out), "found: line "); n != len(gone) {
		t.Errorf("%s: ssh-keygen finds %d lines, we %d:\n%s", name, n, len(gone), out)
	}
	if refused {
		want = strings.TrimSuffix(strings.Join(lines, ""), "\n") + "\n"
	}
	switch {
	case len(gone) == 0 && got != text:
		t.Errorf("%s: nothing is removed, and the file changed", name)
	case len(gone) > 0 && got != want:
		t.Errorf("%s: what is left differs from %q", name, want)
	case len(gone) > 0 && readText(t, ours+".old") != text:
		t.Errorf("%s: .old is not the file before", name)
	}
	return len(gone)
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRemoveKeeps wants the mode, a link, and all hosts but those asked for.
func TestRemoveKeeps(t *testing.T) {
	line := func(names string, n int) string { return names + " " + authorizedKey(fakeKey(n)) }
	file := knownHosts(t, line("web1,10.0.0.1", 1), line("web2", 2), line("web*,!web2", 3), line("@cert-authority web1", 4), line(hashName("web1"), 5), line("web3", 6))
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	before := readText(t, file)
	dry, err := Remove(link, []string{"web1:22", "web3:22"}, true)
	if err != nil || readText(t, file) != before {
		t.Fatalf("a dry run changed the file, or %v", err)
	}
	gone, err := Remove(link, []string{"web1:22", "web3:22"}, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := line("web2", 2) + "\n" + line("@cert-authority web1", 4) + "\n"; readText(t, file) != want {
		t.Errorf("left %q, want %q", readText(t, file), want)
	}
	if len(dry) != 4 || len(gone) != 4 {
		t.Fatalf("%d lines dry, %d removed; want 4", len(dry), len(gone))
	}
	for i, want := range []struct {
		line   int
		addrs  int
		others bool
	}{{1, 1, true}, {3, 2, true}, {5, 1, false}, {6, 1, false}} {
		g := gone[i]
		if g.Line != want.line || len(g.Addrs) != want.addrs || g.Others != want.others || g.File != link || !strings.HasPrefix(g.Fingerprint, "SHA256:") {
			t.Errorf("removal %d is %+v, want %+v", i, g, want)
		}
	}
	info, err := os.Lstat(link)
	if err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Error("the link was replaced")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, want 0644", info.Mode())
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "known_hosts.*")); err != nil || len(left) != 1 || left[0] != file+".old" {
		t.Errorf("files left behind: %v", left)
	}
	if gone, err := Remove(filepath.Join(t.TempDir(), "none"), []string{"web1:22"}, false); err != nil || gone != nil {
		t.Errorf("no file: %v, %v", gone, err)
	}
	if _, err := Remove("/dev/null", []string{"web1:22"}, false); err == nil {
		t.Error("a device was rewritten")
	}
}

// TestRemoveWhileAdding takes hosts out while another policy adds some: what
// was added is never lost, whichever file the writer had open.
func TestRemoveWhileAdding(t *testing.T) {
	const hosts = 60
	file := knownHosts(t)
	p := &Policy{Mode: AcceptNew, Index: load(t, file), File: file}
	added := make(chan error, 1)
	go func() {
		for n := range hosts {
			if err := p.Check("new"+strconv.Itoa(n)+":22", nil, fakeKey(n)); err != nil {
				added <- err
				return
			}
		}
		added <- p.Unwritten()
	}()
	for n := 0; ; n++ {
		old := &Policy{Mode: AcceptNew, Index: load(t, file), File: file}
		addr := "old" + strconv.Itoa(n) + ":22"
		if err := old.Check(addr, nil, fakeKey(1000+n)); err != nil {
			t.Fatal(err)
		}
		if _, err := Remove(file, []string{addr}, false); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-added:
			if err != nil {
				t.Fatal(err)
			}
		default:
			continue
		}
		break
	}
	if x := load(t, file); x.Len() != hosts {
		t.Errorf("%d lines in the end, want %d", x.Len(), hosts)
	}
}
