package inventory

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What the guide shows is so: its files parse, its patterns find the hosts that
// stand beside them, its errors come.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../docs/inventory.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	var worked *Inventory
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(guide, -1) {
		inv, err := Parse("docs", []byte(m[1]))
		if err != nil {
			t.Errorf("%s\n%v", m[1], err)
		}
		if strings.HasPrefix(m[1], "# worked example") {
			worked = inv
		}
	}
	if worked == nil {
		t.Fatal("no worked example")
	}
	checkWorkedExample(t, worked)
	_, patterns, _ := strings.Cut(guide, "## Patterns")
	patterns, _, _ = strings.Cut(patterns, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|.*\\| `([^`]+)` \\|$").FindAllStringSubmatch(patterns, -1)
	if len(rows) < 16 {
		t.Errorf("%d patterns", len(rows))
	}
	for _, row := range rows {
		hosts, err := worked.Select(row[1])
		if got := Fold(hostNames(hosts)); got != row[2] || err != nil {
			t.Errorf("%s: got %s (%v), the guide says %s", row[1], got, err, row[2])
		}
	}
	_, ranges, _ := strings.Cut(guide, "| written | hosts |")
	ranges, _, _ = strings.Cut(ranges, "```")
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^(|]+)").FindAllStringSubmatch(ranges, -1) {
		names, err := ExpandSet(row[1])
		if got := strings.Join(names, " "); got != strings.TrimSpace(row[2]) || err != nil {
			t.Errorf("%s: got %s (%v), the guide says %s", row[1], got, err, row[2])
		}
	}
	_, err = Parse("hosts.yaml", []byte("hosts:\n  web01: {prot: 22}\n  web[20-01]:\n  q: \ngroups:\n  web:\n  prod: {children: [wbe]}\n"))
	for line := range strings.Lines(guide) {
		if strings.HasPrefix(line, "hosts.yaml:") && (err == nil || !strings.Contains(err.Error()+"\n", line)) {
			t.Errorf("the guide says %s, got\n%v", line, err)
		}
	}
}

func checkWorkedExample(t *testing.T, inv *Inventory) {
	t.Helper()
	h := hostOf(t, inv, "web20")
	if h.User != "www" || strings.Join(h.Jump, " ") != "bastion" {
		t.Errorf("web20: %+v", h.Settings)
	}
	want := map[string]any{"tier": "front", "env": "frozen", "canary": true, "ntp": "pool", "deploys": false}
	for key, value := range want {
		if h.Vars[key] != value {
			t.Errorf("web20 has %s %v, the guide says %v", key, h.Vars[key], value)
		}
	}
}

// The guide and the package name every setting.
func TestGuideNamesSettings(t *testing.T) {
	text, err := os.ReadFile("../docs/inventory.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range fieldNames() {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("the guide has no row for %s", name)
		}
	}
}
