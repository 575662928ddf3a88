package tidy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestHouse holds the whole module to the rules of rules.go.
func TestHouse(t *testing.T) {
	sources, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 20 {
		t.Fatalf("found %d Go files: is this the module's root?", len(sources))
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, finding := range rule.check(sources) {
				t.Errorf("%s\n\twhy: %s", finding, rule.why)
			}
		})
	}
}

// TestRulesBite shows that each rule finds the fault that it is for, in
// testdata/NAME, a small module root of its own.
func TestRulesBite(t *testing.T) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			sources, err := load(filepath.Join("testdata", rule.name))
			if err != nil {
				t.Fatal(err)
			}
			found := rule.check(sources)
			if len(found) == 0 {
				t.Errorf("rule %q finds nothing in testdata/%s, which breaks it", rule.name, rule.name)
			}
		})
	}
}

// TestArchitectureNamesEveryRoom holds docs/architecture.md to the rooms that
// there are.
func TestArchitectureNamesEveryRoom(t *testing.T) {
	sources, err := load("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	rooms := map[string]bool{}
	for _, s := range sources {
		rooms[s.dir] = true
	}
	for room := range rooms {
		top := strings.Join(strings.SplitN(room, "/", 4)[:min(3, strings.Count(room, "/")+1)], "/")
		named := strings.Contains(string(text), "`"+top+"`")
		if parent := filepath.Dir(top); !named && !strings.Contains(string(text), "`"+parent+"`") {
			t.Errorf("docs/architecture.md does not name %s", room)
		}
	}
	for _, m := range regexp.MustCompile("\\| (`[a-z/` ]+`) \\|").FindAllStringSubmatch(string(text), -1) {
		for room := range strings.FieldsSeq(strings.ReplaceAll(m[1], "`", " ")) {
			if !rooms[room] {
				t.Errorf("docs/architecture.md names %s, which is not there", room)
			}
		}
	}
}
