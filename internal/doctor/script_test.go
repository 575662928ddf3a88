package doctor

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// shells are those that may read the script, as login shell and as sh.
var shells = [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}}

// TestScriptInShells runs the script by each shell of this machine, and wants
// the facts that this machine has.
func TestScriptInShells(t *testing.T) {
	uname, err := exec.Command("uname", "-r").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range shells {
		t.Run(shell[0], func(t *testing.T) {
			if _, err := exec.LookPath(shell[0]); err != nil {
				t.Fatalf("install the Debian package %s to run this test", shell[0])
			}
			sh := strings.Join(shell, " ")
			f := sshtest.Lab(t, lab.Config{Names: []string{"web01"}, Shell: scripted(shell, func(line string) string {
				return strings.Replace(line, "exec sh ", "exec "+sh+" ", 1)
			})})
			h := mustRun(t, labRequest(f))["web01"]
			if h.System == nil || h.System.Release != strings.TrimSpace(string(uname)) || h.System.Kernel != "Linux" || h.System.OS == "" {
				t.Errorf("system %+v, want the release %s", h.System, uname)
			}
			if h.Tmp == nil || h.Tmp.FreeBytes <= 0 || !strings.HasPrefix(h.Tmp.Mount, "/") || h.Tmp.Noexec == nil {
				t.Errorf("/tmp: %+v, want what df shows", h.Tmp)
			}
			if h.Clock == nil || h.Clock.Offset-h.Clock.Error > 0.2 || h.Clock.Offset+h.Clock.Error < -0.2 {
				t.Errorf("clock: %+v, want right", h.Clock)
			}
			if h.Shell == nil || h.Shell.Stdout.Bytes != 0 || h.Shell.Stderr.Bytes != 0 || h.Shell.Path == "" && h.Shell.Profile < 0 {
				t.Errorf("shell: %+v, want silence", h.Shell)
			}
			if h.Tools == nil || len(h.Tools.Missing) > 0 || !slices.Equal(h.Tools.Present, tools) {
				t.Errorf("tools: %+v, want all", h.Tools)
			}
			if h.Become == nil || !h.Become.Su {
				t.Errorf("become: %+v, want su", h.Become)
			}
		})
	}
}

// TestScriptInAnyShell wants nothing in the script that login shells other than
// sh read in ways of their own, and a length that every server takes.
func TestScriptInAnyShell(t *testing.T) {
	s := script("@" + strings.Repeat("X", 26))
	inner, begins := strings.CutPrefix(s, "exec sh -c '")
	inner, ends := strings.CutSuffix(inner, "'")
	if !begins || !ends || strings.ContainsAny(inner, "'!\\\n") {
		t.Errorf("script has what must not stand in single quotes: %s", s)
	}
	if len(s) > 4000 {
		t.Errorf("script has %d bytes", len(s))
	}
}

// TestListenerCuts feeds the same output cut at every place, and wants the same
// answers and the same count of noise each time.
func TestListenerCuts(t *testing.T) {
	const out = "noise @MARx\n@MARK shell\n/bin/sh\n@MARK clock\n123\n@MARK tools\n/bin/tar\n@MARK end\n"
	for i := range len(out) {
		l := &listener{mark: []byte("@MARK "), began: time.Now(), flooded: func() { t.Error("flood") }}
		for _, part := range []string{out[:i], out[i:]} {
			l.Write([]byte(part))
		}
		a := l.answers()
		if l.noise != 12 || string(l.head) != "noise @MARx\n" || a["shell"] != "/bin/sh\n" || a["clock"] != "123\n" || a["tools"] != "/bin/tar\n" {
			t.Fatalf("cut at %d: noise %d, %q, answers %q", i, l.noise, l.head, a)
		}
		if _, ended := a["end"]; !ended || l.ticked.IsZero() {
			t.Fatalf("cut at %d: ended %v, ticked %v", i, ended, l.ticked)
		}
	}
}

// TestListenerBounds writes without end before and after the first mark.
func TestListenerBounds(t *testing.T) {
	flooded := false
	l := &listener{mark: []byte("@MARK "), flooded: func() { flooded = true }}
	block := []byte(strings.Repeat("y\n", 32<<10))
	for range 100 {
		l.Write(block)
	}
	if !flooded || len(l.head) != maxQuote || len(l.buf) > len(l.mark) {
		t.Errorf("flooded %v, %d bytes of head, %d of the rest", flooded, len(l.head), len(l.buf))
	}
	l = &listener{mark: []byte("@MARK "), flooded: func() { t.Error("flood of answers") }}
	l.Write([]byte("@MARK shell\n"))
	for range 100 {
		l.Write(block)
	}
	if len(l.buf) != maxAnswer {
		t.Errorf("%d bytes of answers kept, want %d", len(l.buf), maxAnswer)
	}
}

func TestReadClock(t *testing.T) {
	began := time.Unix(1000, 400e6)
	seen := began.Add(200 * time.Millisecond)
	for text, want := range map[string]Clock{
		"1000\n": {0, 0.6}, "1001\n": {1, 0.6}, "1062\n": {62, 0.6}, "400\n": {-600, 0.6},
	} {
		if got := readClock(text, began, seen); got == nil || *got != want {
			t.Errorf("readClock(%q) = %+v, want %+v", text, got, want)
		}
	}
	if got := readClock("%s\n", began, seen); got != nil {
		t.Errorf("readClock of no number = %+v", got)
	}
}

func TestReadBecome(t *testing.T) {
	const all = "/usr/bin/sudo\n/usr/bin/doas\n/bin/su\n"
	for _, c := range []struct{ uid, there, said, want string }{
		{"1000", all, "status 0\n", "yes"},
		{"1000", all, "sudo: a password is required\nstatus 1\n", "password"},
		{"1000", all, "Sorry, user ops may not run sudo on web01.\nstatus 1\n", "denied"},
		{"1000", all, "ops is not in the sudoers file.\nstatus 1\n", "denied"},
		{"1000", all, "sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set\nstatus 1\n", "broken"},
		{"1000", all, "", "broken"},
		{"1000", "/bin/su\n", "sh: 1: sudo: not found\nstatus 1\n", "absent"},
	} {
		if b := readBecome(c.uid, c.there, c.said); b.Sudo != c.want || !b.Su || b.Root || b.Doas != (c.there == all) {
			t.Errorf("%q: %+v, want %s", c.said, b, c.want)
		}
	}
	if !readBecome("0", "", "").Root {
		t.Error("uid 0 is not root")
	}
}

func TestReadTmp(t *testing.T) {
	df := "Filesystem 1024-blocks Used Available Capacity Mounted on\ntmpfs 100 10 90 10% /tmp\n"
	mounts := "/dev/vda1 / ext4 rw 0 0\ntmpfs /tmp tmpfs rw,nosuid 0 0\ntmpfs /tmp tmpfs ro,noexec 0 0\n"
	got := readTmp(df, strings.Replace(df, "90", "7", 1), mounts)
	if got == nil || got.Mount != "/tmp" || got.FreeBytes != 90<<10 || got.FreeInodes == nil || *got.FreeInodes != 7 ||
		got.Noexec == nil || !*got.Noexec || !*got.ReadOnly {
		t.Errorf("readTmp = %+v", got)
	}
	got = readTmp(df, "Filesystem Inodes IUsed IFree IUse% Mounted on\nbtrfs 0 0 0 - /tmp\n", "")
	if got == nil || got.FreeInodes != nil || got.Noexec != nil {
		t.Errorf("readTmp of what is not known = %+v", got)
	}
	for _, text := range []string{"", "no table", "a\nb c d e f", "a\nb c d e " + strconv.Quote("f") + " g"} {
		if got := readTmp(text, text, text); got != nil {
			t.Errorf("readTmp(%q) = %+v", text, got)
		}
	}
}

// FuzzAnswers reads what a host may send in place of answers: nothing of it may
// panic, or end up as text that acts on a terminal.
func FuzzAnswers(f *testing.F) {
	f.Add("hello\n@M shell\n/bin/sh\n@M uid\n0\n@M system\nLinux\n@M release\nPRETTY_NAME=\"x\"\n@M clock\n1\n@M tools\n/bin/tar\n" +
		"@M become\n/usr/bin/sudo\n@M mounts\nx / y rw 0 0\n@M df /tmp\na\nb 1 2 3 4% /\n@M df -i /tmp\n@M sudo -n true\nstatus 0\n@M end\n")
	f.Add("@M system\n\x1b[2J\n@M df /tmp\na\nb 1 2 -3 4% /\x1b]0;x\x07\n@M end\n")
	f.Fuzz(func(t *testing.T, text string) {
		l := &listener{mark: []byte("@M "), began: time.Now(), flooded: func() {}}
		for _, part := range []string{text[:len(text)/2], text[len(text)/2:]} {
			l.Write([]byte(part))
		}
		p := &patient{h: &Host{Name: "web01", Problems: []Problem{}}}
		if l.heard() {
			p.readAnswers(l.answers(), l)
			l.last()
		}
		p.h.diagnose()
		for _, c := range shown(t, &Report{Hosts: []*Host{p.h}}) {
			if c < 0x20 && c != '\n' || c >= 0x7f && c < 0xa0 {
				t.Fatalf("character %q in the report", c)
			}
		}
	})
}
