package facts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
)

func TestMain(m *testing.M) { sshtest.Leaks(m) }

// shells are those that may read the script.
var shells = [][]string{{"dash"}, {"bash"}, {"busybox", "sh"}}

// TestScriptInShells runs the script by each shell of this machine, and wants
// the facts that other ways find out.
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
			line := strings.Replace(Script("@M"), "exec sh ", "exec "+strings.Join(shell, " ")+" ", 1)
			cmd := exec.Command(shell[0], append(slices.Clone(shell[1:]), "-c", line)...)
			var aside strings.Builder
			cmd.Stderr = &aside
			out, err := cmd.Output()
			if err != nil || aside.Len() > 0 {
				t.Fatalf("%v; on standard error: %s", err, aside.String())
			}
			f, ok := read(out, "@M", time.Now())
			if !ok || len(f.Missing) > 0 {
				t.Fatalf("missing %v in\n%s", f.Missing, out)
			}
			checkThisMachine(t, f, strings.TrimSpace(string(uname)))
		})
	}
}

func checkThisMachine(t *testing.T, f *Facts, kernel string) {
	t.Helper()
	host, _ := os.Hostname()
	if f.System != "Linux" || f.Kernel != kernel || f.Hostname != host || f.OS == "" || f.OSName == "" || f.Packages == "" {
		t.Errorf("system %q, kernel %q, host %q, os %q %q, packages %q", f.System, f.Kernel, f.Hostname, f.OS, f.OSName, f.Packages)
	}
	if f.CPUs < runtime.NumCPU() || f.Memory == nil || f.Memory.Total < 64<<20 || f.Memory.Available > f.Memory.Total || f.Uptime == nil || *f.Uptime <= 0 {
		t.Errorf("%d cpus, memory %+v, uptime %v", f.CPUs, f.Memory, f.Uptime)
	}
	root := slices.IndexFunc(f.Filesystems, func(s Filesystem) bool { return s.Mount == "/" })
	if root < 0 || f.Filesystems[root].Size < f.Filesystems[root].Free {
		t.Errorf("file systems %+v", f.Filesystems)
	}
	for _, a := range f.Addresses {
		if a.Address == "127.0.0.1" || a.Interface == "" {
			t.Errorf("address %+v", a)
		}
	}
}

// TestScriptInAnyShell wants nothing in the script that login shells other than
// sh read in ways of their own, and a length that every server takes.
func TestScriptInAnyShell(t *testing.T) {
	s := Script("@" + strings.Repeat("X", 26))
	inner, begins := strings.CutPrefix(s, "exec sh -c '")
	inner, ends := strings.CutSuffix(inner, "'")
	if !begins || !ends || strings.ContainsAny(inner, "'!\\\n") {
		t.Errorf("script has what must not stand in single quotes: %s", s)
	}
	if len(s) > 4000 {
		t.Errorf("script has %d bytes", len(s))
	}
}

// TestSystems reads what other systems answer, and compares all that was made of it.
func TestSystems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		answers, want, ok := strings.Cut(string(text), "@M end\n")
		if !ok {
			t.Fatalf("%s has no end", file)
		}
		f, ok := read([]byte(answers+"@M end\n"), "@M", time.Unix(1800000000, 0))
		if !ok {
			t.Fatalf("%s: no answers", file)
		}
		var got strings.Builder
		if err := WriteAll(&got, []Host{{"host", f}}, f.At); err != nil {
			t.Fatal(err)
		}
		if got.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got.String(), want)
		}
	}
}

func TestValues(t *testing.T) {
	up := Seconds(3600)
	f := &Facts{At: time.Unix(1000, 0), OS: "ubuntu", OSLike: []string{"debian"}, Arch: "aarch64", CPUs: 4,
		Memory: &Memory{Total: 1 << 30, Available: -1}, Uptime: &up,
		Filesystems: []Filesystem{{"/", "/dev/vda1", 100, 25}, {"/var", "/dev/vdb1", 200, 50}, {"/var/lib/x", "/dev/vdc", 300, 0}},
		Addresses:   []Address{{"eth0", "10.0.0.1", 8}}}
	for name, want := range map[string]any{
		"os": "ubuntu", "os_like": []any{"ubuntu", "debian"}, "arch": []any{"aarch64", "arm64"}, "cpus": int64(4), "mem": inventory.Size(1 << 30),
		"mem_free": nil, "os_version": nil, "virt": nil, "ip": []any{"10.0.0.1"}, "uptime": time.Hour + time.Minute,
		"disk": inventory.Size(100), "disk_free:/": inventory.Size(25), "disk_free:/var/log": inventory.Size(50), "disk:/varx": inventory.Size(100),
		"disk_free:/var/lib/x": inventory.Size(0), "disk_used": 75.0, "disk:var": nil,
	} {
		if got, ok := f.Value(name, time.Unix(1060, 0)); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if _, ok := f.Value("nosuch", time.Now()); ok {
		t.Error("there is a fact nosuch")
	}
}

func TestTextFitsTheScreen(t *testing.T) {
	f := &Facts{OSName: "Debian GNU/Linux 12 (bookworm)", System: "Linux", Kernel: "6.1.0-31-amd64", Arch: "x86_64", CPUs: 4, Memory: &Memory{Total: 8 << 30}, Virt: "kvm"}
	hosts := []Host{{"web01", f}, {"web02", f}, {"db1", &Facts{OS: "plan9\x1b[2J"}}}
	var b strings.Builder
	if err := WriteText(&b, hosts, inventory.Fold, 50); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if len(line) > 51 || strings.Contains(line, "\x1b") {
			t.Errorf("%q", line)
		}
	}
	b.Reset()
	if err := WriteText(&b, hosts[:2], inventory.Fold, 20); err != nil || !strings.HasPrefix(b.String(), "web[01-02]:\n  Debian") {
		t.Errorf("on a narrow screen: %q, %v", b.String(), err)
	}
	b.Reset()
	if err := WriteText(&b, hosts, inventory.Fold, 50); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "web[01-02]: Debian GNU/Linux 12") || !strings.Contains(b.String(), "\ndb1: plan9") {
		t.Errorf("got\n%s", b.String())
	}
}

// silent is a sink that only keeps results.
type silent struct{ results map[string]event.Result }

func (s *silent) Start(event.Run)              {}
func (s *silent) Started(string, time.Time)    {}
func (s *silent) Output(event.Output)          {}
func (s *silent) Result(r event.Result)        { s.results[r.Host] = r }
func (s *silent) Finish(_ event.Summary) error { return nil }

func gather(t *testing.T, req engine.Request) (map[string]*Facts, map[string]event.Result) {
	t.Helper()
	if req.Timeout == 0 {
		req.Timeout = time.Minute
	}
	req.Fanout = 100
	sink := &silent{make(map[string]event.Result)}
	g, err := Gather(context.Background(), req, sink)
	if err != nil {
		t.Fatal(err)
	}
	return g.Facts, sink.results
}

func labRequest(f *sshtest.Fleet) engine.Request {
	req := engine.Request{Access: engine.Access{User: f.User(), Keys: []string{f.KeyFile}, KnownHosts: []string{f.KnownHosts}}}
	for _, h := range f.Hosts() {
		req.Hosts = append(req.Hosts, &inventory.Host{Name: h.Name, Settings: inventory.Settings{Address: h.Address, Port: h.Port, Become: true, BecomeUser: "root"}})
	}
	return req
}

// TestGatherFromLab asks hosts of which some do not answer as they should: none
// holds up the others, and what came before a hang counts.
func TestGatherFromLab(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"web01", "noisy", "hung", "noshell", "flood"}, Shell: func(ctx context.Context, c *lab.Command) lab.Exit {
		mark := c.Line[strings.Index(c.Line, "@") : strings.Index(c.Line, "@")+27]
		say := func(s string) { c.Stdout.Write([]byte(strings.ReplaceAll(s, "@M", mark))) } //nolint:errcheck // the client may be gone
		const system = "@M system\nLinux\n6.1\nx86_64\nh\n"
		switch c.Host.Name {
		case "web01":
			out, err := exec.CommandContext(ctx, "sh", "-c", c.Line).Output()
			if err != nil {
				return lab.Exit{Status: 1}
			}
			c.Stdout.Write(out) //nolint:errcheck // as above
		case "noisy":
			say("Welcome!\n" + system + "@M df\nx\n@M end\n")
		case "hung":
			say(system + "@M release\nID=debian\n@M df\n")
			<-ctx.Done()
		case "noshell":
			say("no commands here\n")
			return lab.Exit{Status: 1}
		case "flood":
			say(system)
			for ctx.Err() == nil {
				if _, err := c.Stdout.Write(make([]byte, 32<<10)); err != nil {
					break
				}
			}
		}
		return lab.Exit{}
	}})
	req := labRequest(f)
	hung := req
	isHung := func(h *inventory.Host) bool { return h.Name == "hung" }
	hung.Hosts = slices.DeleteFunc(slices.Clone(req.Hosts), func(h *inventory.Host) bool { return !isHung(h) })
	hung.Timeout = 3 * time.Second // what comes before must have come by then
	req.Hosts = slices.DeleteFunc(req.Hosts, isHung)
	found, results := gather(t, req)
	found2, results2 := gather(t, hung)
	found["hung"], results["hung"] = found2["hung"], results2["hung"]
	if g := found["web01"]; g == nil || g.System != "Linux" || len(g.Missing) > 0 || results["web01"].Outcome != scheduler.OK {
		t.Errorf("web01: %+v, %+v", g, results["web01"])
	}
	if g := found["noisy"]; g == nil || g.Kernel != "6.1" || !slices.Contains(g.Missing, "release") || results["noisy"].Outcome != scheduler.Failed {
		t.Errorf("noisy: %+v, %+v", g, results["noisy"])
	}
	if g := found["hung"]; g == nil || g.OS != "debian" || !slices.Contains(g.Missing, "df") {
		t.Errorf("hung: %+v", g)
	}
	for host, want := range map[string]string{"hung": "no end of ", "noshell": "no POSIX shell answers: exit status 1", "flood": "writes without end"} {
		r := results[host]
		if r.Outcome != scheduler.Failed || r.Cause == nil || !strings.Contains(r.Cause.Text, want) {
			t.Errorf("%s: %s %+v, want %s", host, r.Outcome, r.Cause, want)
		}
	}
	if found["noshell"] != nil || found["flood"] != nil {
		t.Error("facts of a host that told none")
	}
}

func TestGatherFromRealServers(t *testing.T) {
	uname, err := exec.Command("uname", "-r").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*sshtest.Server{
		"openssh": sshtest.OpenSSH(t, sshtest.Listen("127.0.0.1")), "dropbear": sshtest.Dropbear(t, sshtest.Listen("127.0.0.1")),
	} {
		found, results := gather(t, engine.Request{
			Access: engine.Access{User: s.User, Keys: []string{s.KeyFile}, KnownHosts: []string{s.KnownHosts}},
			Hosts:  []*inventory.Host{{Name: name, Settings: inventory.Settings{Address: s.Addresses[0], Port: s.Port}}},
		})
		if found[name] == nil || results[name].Outcome != scheduler.OK {
			t.Fatalf("%s: %+v", name, results[name])
		}
		checkThisMachine(t, found[name], strings.TrimSpace(string(uname)))
	}
}

// FuzzAnswers reads what a host may send in place of answers: nothing of it may
// panic, grow, or end up as text that acts on a terminal.
func FuzzAnswers(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("@M system\n\x1b[2J\n@M df\nx 1 2 3 4% /\x1b]0;x\x07\n@M addresses\n1: \x9b inet 1.1.1.1/999\n@M end\n")
	f.Fuzz(func(t *testing.T, text string) {
		facts, ok := read([]byte(text), "@M", time.Unix(1800000000, 0))
		if !ok {
			return
		}
		var b strings.Builder
		hosts := []Host{{"web01", facts}}
		if err := errors.Join(WriteAll(&b, hosts, facts.At), WriteText(&b, hosts, inventory.Fold, 0)); err != nil {
			t.Fatal(err)
		}
		for _, c := range b.String() {
			if c < 0x20 && c != '\n' || c >= 0x7f && c < 0xa0 {
				t.Fatalf("character %q in the text", c)
			}
		}
		list, _ := Names()
		for _, name := range list {
			facts.Value(name, facts.At)
		}
		if facts.CPUs < 0 || facts.Uptime != nil && *facts.Uptime < 0 || len(facts.Disks) > maxItems {
			t.Fatalf("%+v", facts)
		}
		if _, err := strconv.Unquote(strconv.Quote(facts.OSName)); err != nil || len(facts.OSName) > maxText {
			t.Fatalf("%q", facts.OSName)
		}
	})
}

// TestKinds holds what patterns are told of the kind of a fact to its values.
func TestKinds(t *testing.T) {
	seconds := Seconds(60)
	f := &Facts{At: time.Now(), Uptime: &seconds, CPUs: 2, Memory: &Memory{Total: 3, Available: 2, Swap: 1}, Filesystems: []Filesystem{{Mount: "/", Size: 9, Free: 5}}}
	for _, n := range names {
		v, _ := f.Value(n.name, f.At)
		switch v.(type) {
		case inventory.Size, time.Duration:
		default:
			v = nil
		}
		if kind := kindOf(n.name + ":/"); fmt.Sprintf("%T", kind) != fmt.Sprintf("%T", v) {
			t.Errorf("%s is said to be %T and is %T", n.name, kind, v)
		}
	}
}
