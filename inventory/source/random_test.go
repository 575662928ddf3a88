package source

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
)

// maker writes inventories by chance.
type maker struct{ *rand.Rand }

func (m maker) of(list ...string) string { return list[m.IntN(len(list))] }

func (m maker) host() string  { return fmt.Sprintf("h%d", m.IntN(8)) }
func (m maker) group() int    { return m.IntN(7) }
func (m maker) vname() string { return "v" + m.of("a", "b", "c", "d") }

func (m maker) iniValue() string {
	return m.of("1", "two", "3.5", "True", "None", "[1,2]", "\"x y\"", "0x10", "010", "yes", "{'k':[1,None]}", "a=b", "-5", "")
}

func (m maker) yamlValue() string {
	return m.of("1", "two", "3.5", "true", "~", "[1, 2]", "\"x y\"", "0x10", "010", "yes", "{k: [1, null]}", "a=b", "-5", "\"\"", "2001-01-01", "1:30")
}

// ini writes hosts, variables and children; children have higher numbers, so
// that there are no cycles.
func (m maker) ini() string {
	var b strings.Builder
	for range m.IntN(3) {
		fmt.Fprintf(&b, "%s %s=%s\n", m.host(), m.vname(), m.iniValue())
	}
	for g := range 7 {
		fmt.Fprintf(&b, "[g%d]\n", g)
		for range m.IntN(3) {
			fmt.Fprintf(&b, "%s", m.of(m.host(), m.host(), "h[1:4:2]", "x[a:c]:22"))
			for range m.IntN(3) {
				fmt.Fprintf(&b, " %s=%s", m.vname(), m.iniValue())
			}
			b.WriteByte('\n')
		}
		if m.IntN(2) == 0 {
			fmt.Fprintf(&b, "[g%d:vars]\n%s=%s\n%s = %s\n", g, m.vname(), m.iniValue(), m.vname(), m.iniValue())
		}
		if m.IntN(5) == 0 {
			fmt.Fprintf(&b, "[g%d:vars]\nansible_group_priority=%d\n", g, m.IntN(20))
		}
		if g < 6 && m.IntN(2) == 0 {
			fmt.Fprintf(&b, "[g%d:children]\ng%d\n", g, g+1+m.IntN(6-g))
		}
	}
	fmt.Fprintf(&b, "[all:vars]\n%s=%s\n[ungrouped:vars]\n%s=%s\n", m.vname(), m.iniValue(), m.vname(), m.iniValue())
	return b.String()
}

func (m maker) yaml() string {
	var b strings.Builder
	for g := range 7 {
		if m.IntN(2) == 0 {
			continue
		}
		fmt.Fprintf(&b, "g%d:\n", g)
		if m.IntN(2) == 0 {
			fmt.Fprintf(&b, "  hosts:\n    h%d:\n    %s: {%s: %s}\n", m.IntN(4), m.of("h5", "h6", "h[7:8]", "'y:2200'"), m.vname(), m.yamlValue())
		}
		if m.IntN(2) == 0 {
			fmt.Fprintf(&b, "  vars:\n    %s: %s\n", m.vname(), m.yamlValue())
		}
		if g < 6 && m.IntN(2) == 0 {
			fmt.Fprintf(&b, "  children:\n    g%d:\n      vars: {%s: %s}\n", g+1+m.IntN(6-g), m.vname(), m.yamlValue())
		}
	}
	return b.String() + "all: {hosts: {h0: }}\n"
}

func (m maker) vars() string {
	return fmt.Sprintf("%s: %s\n", m.vname(), m.yamlValue())
}

// TestOracleRandom reads inventories made by chance as Ansible does: two sources
// with variables beside them.
func TestOracleRandom(t *testing.T) {
	o := startOracle(t)
	for seed := range uint64(30) {
		m := maker{rand.New(rand.NewPCG(seed, 1))}
		files := []string{"a/inv", m.ini(), "b/inv.yml", m.yaml(), "c", "[gx]\nh1\nh9\n"}
		seen := map[string]bool{}
		for range m.IntN(6) {
			name := m.of("a", "b") + "/" + m.of("host_vars/"+m.host(), "group_vars/all", fmt.Sprintf("group_vars/g%d", m.group()), fmt.Sprintf("group_vars/g%d.yml", m.group()), fmt.Sprintf("group_vars/d%d/x.yml", m.group()))
			if !seen[name] {
				seen[name] = true
				files = append(files, name, m.vars())
			}
		}
		dir := write(t, files...)
		sources := []string{filepath.Join(dir, "a/inv"), filepath.Join(dir, "b/inv.yml"), filepath.Join(dir, "c")}
		if m.IntN(3) == 0 {
			sources[0] = filepath.Join(dir, "a")
		}
		o.check(t, "", sources...)
		if t.Failed() {
			for i := 0; i < len(files); i += 2 {
				t.Logf("-- %s --\n%s", files[i], files[i+1])
			}
			t.Fatalf("seed %d", seed)
		}
	}
}
