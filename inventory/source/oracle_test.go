package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"fleet/inventory"
)

// listing is what `ansible-inventory --list` prints.
type listing struct {
	hosts  map[string]map[string]any // variables by host
	groups map[string][]string       // hosts, sorted, by group
}

// oracle is ansible-inventory, started once for all tests of a function.
type oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// startOracle starts it; it ends with the test.
func startOracle(t testing.TB) *oracle {
	t.Helper()
	program, err := exec.LookPath("ansible-inventory")
	if err != nil {
		t.Fatal("these tests need ansible-inventory: scripts/testdeps installs it")
	}
	python := "/usr/bin/python3" // the one that has Debian's ansible
	if head, err := os.ReadFile(program); err == nil && bytes.HasPrefix(head, []byte("#!")) {
		line, _, _ := strings.Cut(string(head[2:]), "\n")
		python = strings.Fields(line)[0]
	}
	home := t.TempDir()
	config := filepath.Join(home, "ansible.cfg")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/oracle.py")
	cmd.Env = append(os.Environ(), "ANSIBLE_LOCALHOST_WARNING=0", "ANSIBLE_HOME="+home, "HOME="+home, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1", "LC_ALL=C.UTF-8", "ANSIBLE_CONFIG="+config, "ANSIBLE_NOCOLOR=1")
	cmd.Stderr = os.Stderr
	o := &oracle{}
	if o.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.in.Close() //nolint:errcheck // it ends with its input
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return o
}

// list asks for the inventory of sources and options.
func (o *oracle) list(t testing.TB, args ...string) (*listing, error) {
	t.Helper()
	stdout, err := o.ask(t, append([]string{"--list"}, args...)...)
	if err != nil {
		return nil, err
	}
	return parseListing([]byte(stdout))
}

// ask gives what the oracle writes to standard output.
func (o *oracle) ask(t testing.TB, args ...string) (string, error) {
	t.Helper()
	line, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.in.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	answer, err := o.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var status int
	var stdout, stderr string
	if err := json.Unmarshal(answer, &[]any{&status, &stdout, &stderr}); err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		return "", fmt.Errorf("status %d: %s", status, stderr)
	}
	return stdout, nil
}

func parseListing(out []byte) (*listing, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(out, &doc); err != nil {
		return nil, err
	}
	l := &listing{hosts: map[string]map[string]any{}, groups: map[string][]string{}}
	var meta struct {
		Hostvars map[string]any `json:"hostvars"`
	}
	dec := json.NewDecoder(bytes.NewReader(doc["_meta"]))
	dec.UseNumber()
	if err := dec.Decode(&meta); err != nil {
		return nil, err
	}
	for host, vars := range meta.Hostvars {
		l.hosts[host], _ = bare(vars).(map[string]any)
	}
	for name, text := range doc {
		var g struct{ Hosts []string }
		if name == "_meta" || name == "all" {
			continue
		}
		if err := json.Unmarshal(text, &g); err != nil {
			return nil, err
		}
		slices.Sort(g.Hosts)
		for _, h := range g.Hosts {
			if l.hosts[h] == nil {
				l.hosts[h] = map[string]any{}
			}
		}
		if len(g.Hosts) > 0 {
			l.groups[name] = g.Hosts
		}
	}
	return l, nil
}

// bare takes what marks texts as unsafe from a value, and tells integers from floats.
func bare(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if text, ok := v["__ansible_unsafe"]; ok && len(v) == 1 {
			return bare(text)
		}
		for k := range v {
			v[k] = bare(v[k])
		}
	case []any:
		for i := range v {
			v[i] = bare(v[i])
		}
	case json.Number:
		return number(v.String())
	}
	return v
}

func number(s string) any {
	if strings.ContainsAny(s, ".eE") || s == "Infinity" {
		return "float " + s
	}
	return "int " + s
}

// ours is an inventory in the same form.
func ours(inv *inventory.Inventory) *listing {
	l := &listing{hosts: map[string]map[string]any{}, groups: map[string][]string{}}
	for _, h := range inv.Hosts() {
		vars, _ := typed(inventory.Reveal(h.Vars)).(map[string]any)
		if vars == nil {
			vars = map[string]any{}
		}
		l.hosts[h.Name] = vars
	}
	for _, g := range inv.Groups() {
		for _, h := range g.Hosts {
			l.groups[g.Name] = append(l.groups[g.Name], h.Name)
		}
		slices.Sort(l.groups[g.Name])
	}
	return l
}

func typed(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			out[k] = typed(v[k])
		}
		return out
	case []any:
		out := []any{}
		for i := range v {
			out = append(out, typed(v[i]))
		}
		return out
	case int64, uint64:
		return fmt.Sprintf("int %d", v)
	case float64:
		if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
			return "float " + strconv.FormatFloat(v, 'e', -1, 64)
		}
		s := strconv.FormatFloat(v, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return "float " + s
	}
	return v
}

// compare holds what fleet reads to what Ansible does.
func compare(t *testing.T, want *listing, inv *inventory.Inventory) {
	t.Helper()
	got := ours(inv)
	if diff := cmp.Diff(want.hosts, got.hosts); diff != "" {
		t.Errorf("variables: - ansible + fleet\n%s", diff)
	}
	if diff := cmp.Diff(want.groups, got.groups); diff != "" {
		t.Errorf("groups: - ansible + fleet\n%s", diff)
	}
}

// TestOracleINI reads every file of testdata/ini as Ansible does.
func TestOracleINI(t *testing.T) {
	files, err := filepath.Glob("testdata/ini/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	o := startOracle(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { o.check(t, "ansible-ini:", file) })
	}
}

// check has Ansible and fleet read sources, whose kind prefix says for fleet.
func (o *oracle) check(t *testing.T, prefix string, sources ...string) {
	t.Helper()
	var args, named []string
	for _, s := range sources {
		args = append(args, "-i", s)
		named = append(named, prefix+s)
	}
	want, failed := o.list(t, args...)
	r, err := Load(t.Context(), Options{}, named...)
	switch {
	case failed != nil && err == nil:
		t.Errorf("ansible refuses it: %v", failed)
	case failed != nil:
		t.Log(err)
	case err != nil:
		t.Error(err)
	default:
		compare(t, want, r.Inventory)
	}
}

// TestOracleCases unpacks every archive of testdata/cases, whose first line names
// the sources, and reads them as Ansible does.
func TestOracleCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	o := startOracle(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			for _, f := range a.Files {
				path := filepath.Join(dir, f.Name)
				mode := os.FileMode(0o644)
				if bytes.HasPrefix(f.Data, []byte("#!")) {
					mode = 0o755
				}
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, f.Data, mode); err != nil {
					t.Fatal(err)
				}
			}
			first, _, _ := strings.Cut(string(a.Comment), "\n")
			var sources []string
			for _, s := range strings.Fields(first) {
				if !strings.Contains(s, ",") {
					s = filepath.Join(dir, s)
				}
				sources = append(sources, s)
			}
			o.check(t, "", sources...)
		})
	}
}
