package inventory

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A host's own variables and all of the host share a map where that is safe: what
// is said by whom, what is written, and a second merge must not take the ones for
// the others.
func TestSharedVars(t *testing.T) {
	c := NewContent("f")
	for name, rack := range map[string]string{"web1": "own", "web2": ""} {
		h, err := c.Host(name, Mark{1, 1})
		if err != nil {
			t.Fatal(err)
		}
		if rack != "" {
			h.Var("rack", rack, Mark{1, 6})
		}
	}
	groups := func(tier, rack string) Source {
		return Source{File: "groups", Data: fmt.Appendf(nil, "groups: {g: {hosts: 'web[1-2]', vars: {tier: %s, rack: %s}}}\n", tier, rack)}
	}
	for _, tier := range []string{"first", "second"} {
		inv, err := Merge(Source{Content: c}, groups(tier, tier))
		if err != nil {
			t.Fatal(err)
		}
		h, _ := inv.Host("web1")
		if want := map[string]any{"tier": tier, "rack": "own"}; !reflect.DeepEqual(h.Vars, want) {
			t.Errorf("vars %v, want %v", h.Vars, want)
		}
		var said []string
		for _, s := range h.Says() {
			said = append(said, fmt.Sprintf("%s=%v by %s", s.Name, s.Value, s.By))
		}
		want := fmt.Sprintf("tier=%[1]s by group g, rack=%[1]s by group g, rack=own by host web1", tier)
		if got := strings.Join(said, ", "); got != want {
			t.Errorf("says %s, want %s", got, want)
		}
		var text bytes.Buffer
		if _, err := inv.WriteYAML(&text); err != nil {
			t.Fatal(err)
		}
		if hosts, _, _ := strings.Cut(text.String(), "groups:"); strings.Contains(hosts, "tier") || !strings.Contains(hosts, `rack: "own"`) {
			t.Errorf("written:\n%s", text.String())
		}
	}
}
