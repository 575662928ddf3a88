package doctor

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"fleet/internal/jsonschema"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// sick are hosts of a lab and the problems that must be found there, and no
// others. One connection and one login each is all that may be needed.
var sick = []struct {
	fault lab.Fault
	state State
	kinds []string
	text  string // in the first problem, or its detail
}{
	{"", Fine, nil, ""},
	{"deny-auth", Unreachable, []string{"auth"}, "login refused"},
	{"wrong-key", Unreachable, []string{"hostkey_changed"}, "known_hosts:"},
	{"refuse", Unreachable, []string{"refused"}, "connection refused"},
	{"no-sftp", Troubled, []string{"sftp"}, "no sftp: sftp subsystem refused by the host"},
	{"noisy", Troubled, []string{"shell_noise", "shell_noise_stderr"}, `69 bytes: "\x1b[2J`},
	{"max-sessions=3", Troubled, []string{"sessions"}, "3"},
	{"max-sessions=1", Troubled, []string{"sessions"}, "1"},
	{"refuse-channel", Troubled, []string{"session_limit"}, "session refused"},
	{"refuse-exec", Troubled, []string{"permission"}, "command refused by the host"},
	{"flood", Troubled, []string{"no_shell"}, "login shell writes without end"},
	{"cut=10", Unreachable, []string{"conn_lost"}, "connection lost"},
	{"signal", Fine, nil, ""},
	{"no-status", Fine, nil, ""},
	{"linger", Fine, nil, ""},
	{"requests", Fine, nil, ""},
}

func TestSickHosts(t *testing.T) {
	cfg := lab.Config{Faults: map[string]lab.Fault{}}
	names := make([]string, len(sick))
	for i, s := range sick {
		names[i] = "h-" + strings.NewReplacer("=", "-").Replace(string(s.fault))
		cfg.Faults[names[i]] = s.fault
	}
	names[0] = "healthy"
	delete(cfg.Faults, "h-")
	cfg.Names = names
	f := sshtest.Lab(t, cfg)
	all := mustRun(t, labRequest(f))
	for i, s := range sick {
		h := all[names[i]]
		if h.State != s.state || !slices.Equal(h.kinds(), append([]string{}, s.kinds...)) {
			t.Errorf("%s: %s with %+v, want %s with %s", names[i], h.State, h.Problems, s.state, s.kinds)
			continue
		}
		if len(h.Problems) > 0 && !strings.Contains(h.Problems[0].Text+" "+h.Problems[0].Detail, s.text) {
			t.Errorf("%s: %q, want %q in it", names[i], h.Problems[0], s.text)
		}
		for _, p := range h.Problems {
			if p.Fix == "" || strings.Contains(p.Text+p.Fix, h.Name) || strings.Contains(p.Text+p.Fix, h.Address) {
				t.Errorf("%s: problem without a fix, or with the host's name: %+v", names[i], p)
			}
		}
		stats := f.Must(t, names[i]).Stats()
		if stats.Accepted > 1 || stats.Logins > 1 || stats.CommandsRun > 1 {
			t.Errorf("%s: %d connections, %d logins, %d commands", names[i], stats.Accepted, stats.Logins, stats.CommandsRun)
		}
	}
	h := all["healthy"]
	if h.Connect == nil || h.Server == nil || h.Crypto == nil || !h.Crypto.PostQuantum || h.HostKey == nil || h.HostKey.State != "known" ||
		len(h.HostKey.Places) != 1 || h.Login == nil || len(h.Login.Keys) != 1 || !slices.Equal(h.Login.Methods, []string{"publickey"}) ||
		h.RTT == nil || h.Shell == nil || h.System == nil || h.Become == nil || h.Tools == nil || h.Tmp == nil || h.Clock == nil ||
		h.SFTP == nil || h.SFTP.Version != 3 || h.Sessions == nil || h.Sessions.Open != mostSessions || !h.Sessions.AtLeast {
		t.Errorf("facts are missing: %+v", h)
	}
}

// TestStuckHosts examines hosts that answer nothing more, each at another
// stage: every one has its limit, and they do not wait for each other.
func TestStuckHosts(t *testing.T) {
	faults := map[string]lab.Fault{
		"banner": "hang", "kex": "hang-kex", "auth": "hang-auth", "frozen": "freeze", "channel": "hang-channel", "exec": "hang-exec",
	}
	want := map[string]string{
		"banner": "timeout in banner", "kex": "timeout in kex", "auth": "timeout in auth",
		"frozen": "no end of the check of keepalive", "channel": "the login shell's start does not end", "exec": "the login shell's start does not end",
	}
	f := sshtest.Lab(t, lab.Config{Names: []string{"well", "banner", "kex", "auth", "frozen", "channel", "exec"}, Faults: faults})
	req := labRequest(f)
	req.ConnectTimeout, req.Limit = 3*time.Second, 2*time.Second
	began := time.Now()
	all := mustRun(t, req)
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
	for name, text := range want {
		h := all[name]
		if len(h.Problems) == 0 || !strings.Contains(h.Problems[0].Text, text) {
			t.Errorf("%s: %s, %+v, want %q", name, h.State, h.Problems, text)
		}
	}
	if h := all["well"]; h.State != Fine {
		t.Errorf("well: %s, %+v", h.State, h.Problems)
	}
}

// TestScriptedHosts changes single answers of a real shell.
func TestScriptedHosts(t *testing.T) {
	for _, c := range []struct {
		name, from, to, kind, text string
	}{
		{"clock", "date +%s", "echo 1000000000", "clock", "behind"},
		{"tools", "command -v tar", "true", "tools", "tar"},
		{"noexec", "grep -e", `echo "x /tmp tmpfs rw,noexec"; true -e`, "tmp_noexec", "/tmp is mounted noexec"},
		{"full", "df -Pk /tmp", `echo "head"; echo "tmpfs 1000 999 1 99% /tmp"`, "tmp_full", "1 KiB free"},
		{"sudo", "LC_ALL=C sudo -n true", "sleep 1000", "shell", "`sudo -n true` does not end within"},
		{"noise", "exec sh", "echo welcome; exec sh", "shell_noise", `8 bytes: "welcome\n"`},
		{"nologin", "exec sh", "echo This account is not available.; exit 1 #", "no_shell", "exit status 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := sshtest.Lab(t, lab.Config{Names: []string{"web01"}, Shell: scripted([]string{"sh"}, func(line string) string {
				changed := strings.Replace(line, c.from, c.to, 1)
				if c.name == "noexec" { // so that the file system is the one that is asked for
					changed = strings.Replace(changed, "df -Pk /tmp", `echo head; echo "tmpfs 1000000 1 900000 1% /tmp"`, 1)
				}
				return changed
			})})
			req := labRequest(f)
			if c.name == "sudo" {
				req.Limit = 3 * time.Second
			}
			h := mustRun(t, req)["web01"]
			found := slices.ContainsFunc(h.Problems, func(p Problem) bool {
				return p.Kind == c.kind && strings.Contains(p.Text+" "+p.Detail, c.text)
			})
			if !found || h.State != Troubled {
				t.Errorf("%s, %+v; want %s with %q", h.State, h.Problems, c.kind, c.text)
			}
		})
	}
}

// TestStop stops an examination while a host hangs.
func TestStop(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"web01", "web02"}, Faults: map[string]lab.Fault{"web01": "hang"}})
	req := labRequest(f)
	stops := make(chan struct{}, 2)
	req.Stops, req.Fanout = stops, 1
	req.Progress = func(begun, ended int) {
		if begun == 1 && ended == 0 {
			stops <- struct{}{}
		}
	}
	report, err := Run(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Interrupted || report.Hosts[0].State != Canceled || report.Hosts[1].State != Skipped {
		t.Errorf("interrupted %v, %s and %s", report.Interrupted, report.Hosts[0].State, report.Hosts[1].State)
	}
	if text := shown(t, report); !strings.Contains(text, "2 hosts: 1 canceled, 1 skipped") {
		t.Errorf("report:\n%s", text)
	}
}

// TestEveryStateIsValid holds hosts of all states to the schema.
func TestEveryStateIsValid(t *testing.T) {
	schema, err := jsonschema.Load("../../docs/schema/doctor.json")
	if err != nil {
		t.Fatal(err)
	}
	f := sshtest.Lab(t, lab.Config{Names: []string{"a", "b", "c"}, Faults: map[string]lab.Fault{"a": "wrong-key", "b": "noisy+no-sftp"}})
	report, err := Run(context.Background(), labRequest(f))
	if err != nil {
		t.Fatal(err)
	}
	report.Hosts = append(report.Hosts, &Host{Name: "d", State: Skipped, Via: []string{}, Problems: []Problem{}})
	report.Hosts[3].Address, report.Hosts[3].Port = "d", 22
	text, err := json.Marshal(map[string]any{"v": 1, "hosts": report.Hosts, "wall_ms": report.Wall.Milliseconds()})
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Check(text); err != nil {
		t.Errorf("%v in %s", err, text)
	}
}
