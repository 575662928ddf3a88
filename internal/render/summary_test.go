package render

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"fleet/internal/event"
	"fleet/scheduler"
)

// constants gives the string constants of a type of the scheduler.
func constants(t *testing.T, typ string) (values []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../scheduler/outcome.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == typ {
				s, _ := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				values = append(values, s)
			}
		}
		return true
	})
	slices.Sort(values)
	return values
}

// What the scheduler can say, the schemas know, and the other way round.
func TestSchemasKnowEveryWord(t *testing.T) {
	for _, file := range []string{"jsonl.json", "json.json"} {
		p, err := os.ReadFile("../../docs/schema/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Defs map[string]struct {
				Properties map[string]struct{ Enum []string }
			} `json:"$defs"`
		}
		json.Unmarshal(p, &s)
		for typ, enum := range map[string][]string{
			"Kind":    s.Defs["cause"].Properties["kind"].Enum,
			"Stage":   s.Defs["cause"].Properties["stage"].Enum,
			"Outcome": s.Defs["result"].Properties["outcome"].Enum,
		} {
			slices.Sort(enum)
			if want := constants(t, typ); len(want) < 5 || !slices.Equal(enum, want) {
				t.Errorf("%s: %s is %v, want %v", file, typ, enum, want)
			}
		}
	}
}

// Every kind has a hint, or needs none.
func TestHintsCoverKinds(t *testing.T) {
	none := []string{"exit", "signal", "canceled"} // a kill has its own
	used := map[string]bool{hints["unkilled"]: true}
	for _, kind := range constants(t, "Kind") {
		stages := []string{""}
		switch kind {
		case "timeout":
			stages = constants(t, "Stage")
		case "permission", "not_found":
			stages = []string{"", "command", "transfer"}
		case "refused":
			stages = []string{"tcp", "banner"}
		case "protocol":
			stages = []string{"banner", "kex", "channel", "transfer"}
		case "conn_lost":
			stages = append(constants(t, "Stage"), "")
		}
		for _, stage := range stages {
			h := hintFor(scheduler.Cause{Kind: scheduler.Kind(kind), Stage: scheduler.Stage(stage)})
			if (h == "") != slices.Contains(none, kind) {
				t.Errorf("%s %s: hint %q", kind, stage, h)
			}
			used[h] = true
			used[hintFor(scheduler.Cause{Kind: scheduler.Kind(kind), Stage: scheduler.Stage(stage), Text: "jump host gate: " + kind})] = true
		}
	}
	for key, h := range hints {
		if !used[h] {
			t.Errorf("hint %s is for nothing", key)
		}
	}
}

// What ended before the command was sent is not told as if it might have run.
func TestHintForEarlyEnd(t *testing.T) {
	for stage, early := range map[scheduler.Stage]bool{
		scheduler.StageTCP: true, scheduler.StageAuth: true, scheduler.StageChannel: true,
		scheduler.StageCommand: false, "": false,
	} {
		if got := strings.Contains(Hint(scheduler.KindConnLost, stage), "nothing ran"); got != early {
			t.Errorf("connection lost in stage %q: told that nothing ran: %v", stage, got)
		}
	}
}

// What one stage says of a kind is not told of another.
func TestHintIsOfItsStage(t *testing.T) {
	for _, c := range []struct {
		kind        scheduler.Kind
		right, left scheduler.Stage
		words       string
	}{
		{scheduler.KindRefused, scheduler.StageTCP, scheduler.StageBanner, "nothing listens"},
		{scheduler.KindProtocol, scheduler.StageBanner, scheduler.StageChannel, "right port"},
		{scheduler.KindProtocol, scheduler.StageKex, scheduler.StageTransfer, "right port"},
	} {
		if h := Hint(c.kind, c.right); !strings.Contains(h, c.words) {
			t.Errorf("%s in %s: %q", c.kind, c.right, h)
		}
		if h := Hint(c.kind, c.left); h == "" || strings.Contains(h, c.words) {
			t.Errorf("%s in %s: %q", c.kind, c.left, h)
		}
	}
}

// A command that may have run is never told as one that did not, in whatever
// stage its host was lost; unreachable hosts keep the hint of their cause.
func TestHintForLost(t *testing.T) {
	for _, cause := range []scheduler.Cause{
		{Kind: scheduler.KindTimeout, Stage: scheduler.StageChannel, Text: "timeout in channel after 2s"},
		{Kind: scheduler.KindConnLost, Stage: scheduler.StageChannel, Text: "connection lost: EOF"},
		{Kind: scheduler.KindConnLost, Stage: scheduler.StageCommand, Text: "connection lost: EOF"},
	} {
		_, errs := show(t, "quiet", Options{}, []host{{name: "db8", outcome: scheduler.Lost, cause: cause}})
		if strings.Count(errs, ": hint: ") != 1 || !strings.Contains(errs, "look at what it did there") {
			t.Errorf("lost by %s in %s: %q", cause.Kind, cause.Stage, errs)
		}
		_, errs = show(t, "quiet", Options{}, []host{{name: "db8", outcome: scheduler.Unreachable, cause: cause}})
		if early := cause.Stage == scheduler.StageChannel; early == strings.Contains(errs, "look at what it did there") {
			t.Errorf("unreachable by %s in %s: %q", cause.Kind, cause.Stage, errs)
		}
	}
}

// Output that was lost to a full disk is not told as cut at the limit.
func TestUnstored(t *testing.T) {
	_, errs := show(t, "group", Options{}, []host{{name: "db1", stdout: "x", unstored: true}, {name: "db2", stdout: "x", truncated: true}})
	want := "db2: output cut at --max-output, the rest was not kept\ndb1: output cut, as the rest could not be kept on this machine\n"
	if !strings.Contains(errs, want) {
		t.Errorf("%q, want %q in it", errs, want)
	}
}

// A hint names only flags and commands that there are.
func TestHintsNameWhatExists(t *testing.T) {
	flags := []string{
		"-p", "-f", "-t", "-k", "-u", "-J", "--key", "--connect-timeout", "--deadline", "--hostkeys", "--output", "-l",
		"--exclude", "--links", "--delete", "--dry-run", "--max-delete", "--raw", "-K", "--become-method", "--become-timeout", "--straggler-after", "--straggler", "--cwd",
		"--stdin", "--shell", "--max-bytes",
	}
	found := 0
	for key, h := range hints {
		for _, m := range regexp.MustCompile(`(^|[ (\x60])(--?[a-zA-Z][a-z-]*)`).FindAllStringSubmatch(h, -1) {
			found++
			if !slices.Contains(flags, m[2]) {
				t.Errorf("hint %s names %s", key, m[2])
			}
		}
		for _, m := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(h, -1) {
			if !regexp.MustCompile(`^(fleet hosts HOST|fleet trust (approve PATTERN|remove HOST|approve HOST)|ssh-add -l)`).MatchString(m[1]) {
				t.Errorf("hint %s names the command %s", key, m[1])
			}
		}
	}
	if found < 15 {
		t.Errorf("%d flags found in all hints", found)
	}
}

func TestEarlyEnd(t *testing.T) {
	for _, c := range []struct {
		sum  event.Summary
		want string
	}{
		{event.Summary{Halted: true}, "fleet: stopped by --max-fail\n"},
		{event.Summary{Deadline: true}, "fleet: stopped at --deadline\n"},
		{event.Summary{Interrupted: true}, "fleet: interrupted\n"},
	} {
		for _, mode := range Modes {
			var errs buffer
			s, _ := New(mode, Options{Out: &buffer{}, Err: &errs})
			s.Start(event.Run{})
			s.Finish(c.sum)
			if got, want := errs.String(), "0 hosts in 0ms\n"+c.want; got != want {
				t.Errorf("%s: %q, want %q", mode, got, want)
			}
		}
	}
}

// Names that do not fold are shortened where somebody reads them, and only there.
func TestLongHostSets(t *testing.T) {
	var hosts []host
	for i := range 400 {
		name := fmt.Sprintf("%x-%c", i*7919%100_003, 'a'+i%26)
		hosts = append(hosts, host{name: name, outcome: "unreachable", cause: bannerTimeout})
	}
	join := func(names []string) string { return strings.Join(names, ",") }
	_, pipe := show(t, "live", Options{Fold: join}, hosts)
	_, terminal := show(t, "live", Options{Fold: join, ErrTerminal: true}, hosts)
	for _, h := range hosts {
		if !strings.Contains(pipe, h.name) {
			t.Fatalf("%s is missing in the pipe", h.name)
		}
	}
	line := strings.Join(strings.Split(terminal, "\n")[1:3], "")
	m := regexp.MustCompile(`^(.*) and (\d+) more: +timeout in banner after 5s$`).FindStringSubmatch(line)
	if m == nil || ansi.StringWidth(m[1]) > foldCols {
		t.Fatalf("the terminal shows %q", line)
	}
	more, _ := strconv.Atoi(m[2])
	if shown := strings.Count(m[1], "-"); shown < 8 || shown+more != 400 {
		t.Errorf("%d names and %d more", shown, more)
	}
}

// A cause that is wider than the terminal goes on in lines of their own, without
// a word cut in two; a pipe gets it on one line.
func TestWideCause(t *testing.T) {
	text := "login refused; tried ssh-ed25519 SHA256:" + strings.Repeat("k", 43) + " (/home/ann/.ssh/id); the host allows publickey,password"
	h := []host{{name: "db1", outcome: "unreachable", cause: scheduler.Cause{Kind: scheduler.KindAuth, Text: text}}}
	_, pipe := show(t, "live", Options{}, h)
	if !strings.Contains(pipe, "db1: "+text+"\n") {
		t.Errorf("the pipe got %q", pipe)
	}
	_, terminal := show(t, "live", Options{ErrTerminal: true, ErrColor: true, Width: func() int { return 80 }}, h)
	for line := range strings.Lines(terminal) {
		if w := ansi.StringWidth(strings.TrimRight(line, "\n")); w > 80 {
			t.Errorf("%d columns: %q", w, line)
		}
	}
	words := strings.Join(strings.Fields(ansi.Strip(terminal)), " ")
	if !strings.Contains(words, "db1: "+text) {
		t.Errorf("the terminal got %q", terminal)
	}
}

func TestLongCause(t *testing.T) {
	h := host{name: "a", outcome: "failed", cause: scheduler.Cause{Text: strings.Repeat("é", 5000)}}
	_, err := show(t, "quiet", Options{}, []host{h})
	if want := "a: " + strings.Repeat("é", causeMax/2) + "…\n"; !strings.Contains(err, want) {
		t.Errorf("got %d bytes: %.80q", len(err), err)
	}
}

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0ms", 812 * time.Millisecond: "812ms", 1234 * time.Millisecond: "1.2s",
		59900 * time.Millisecond: "59.9s", 61 * time.Second: "1m1s", 2*time.Hour + time.Second: "2h0m1s",
	} {
		if got := formatWall(d); got != want {
			t.Errorf("formatWall(%v) = %s, want %s", d, got, want)
		}
	}
	for secs, want := range map[float64]string{0: "0:00", 0.2: "0:01", 59.5: "1:00", 3600: "1:00:00", 1e9: "days"} {
		if got := formatETA(secs); got != want {
			t.Errorf("formatETA(%v) = %s, want %s", secs, got, want)
		}
	}
}
