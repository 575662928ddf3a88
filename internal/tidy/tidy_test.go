package tidy

import (
	"path/filepath"
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
