package inventory

import (
	"slices"
	"testing"
)

func TestMergeNames(t *testing.T) {
	inv, err := Merge(Source{File: "config", Names: []string{"web1", "all", "-x", "a/b", "web[1-3]", "::1", "yes", "web1", "1e3"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range inv.Hosts() {
		names = append(names, h.Name)
		if h.Given("address") || h.Address != h.Name {
			t.Errorf("%s has the address %q", h.Name, h.Address)
		}
	}
	if want := []string{"web1", "::1", "yes", "1e3"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	if inv, err := Merge(Source{File: "config", Names: []string{}}); err != nil || len(inv.Hosts()) != 0 {
		t.Errorf("no names: %v, %v", inv, err)
	}
}
