package inventory

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"fleet/internal/jsonschema"
)

// asJSON turns YAML into what editors hold to the schema.
func asJSON(text string) ([]byte, bool) {
	var v any
	if yaml.Unmarshal([]byte(text), &v) != nil {
		return nil, false
	}
	out, err := json.Marshal(v)
	return out, err == nil
}

// TestSchema holds docs/schema/inventory.json, for editors, to the parser: what
// the parser takes is valid, and what it refuses for its form is not.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.Load("../docs/schema/inventory.json")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../docs/inventory.md")
	if err != nil {
		t.Fatal(err)
	}
	sampleText, err := os.ReadFile("../hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	good := []string{
		string(sampleText), "hosts: [a, \"b[1-3]\", 7]\n", "hosts:\ndefaults:\ngroups:\n", "x-any: [1, {a: b}]\nhosts: {a: }\n",
		"hosts: {a: {port: \"22\", become: Yes, connect_timeout: 90, key: [a, b], jump: none, tags: x, vars: }}\n", "groups: {a: {hosts: b, children: [c]}, c: }\n",
		"hosts: {a: {connect_timeout: 1m30s, become: \"OFF\", user: 12, shell: true}}\n", "hosts: {a: {connect_timeout: 1.5s}, b: {connect_timeout: \"5\"}}\n",
	}
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(guide), -1) {
		good = append(good, m[1])
	}
	for _, text := range good {
		if _, err := Parse("f", []byte(text)); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
		if doc, ok := asJSON(text); ok {
			if err := schema.Check(doc); err != nil {
				t.Errorf("%v in\n%s", err, text)
			}
		}
	}
	for _, text := range []string{
		"host: {a: }", "hosts: {a: {prot: 1}}", "hosts: {a: {port: 0}}", "hosts: {a: {port: x}}", "hosts: {a: {become: maybe}}", "hosts: {a: {become_method: runas}}",
		"hosts: {a: {user: [b]}}", "hosts: {a: {user: }}", "hosts: {a: {vars: [b]}}", "hosts: {a: b}", "hosts: x", "groups: {a: {host: b}}", "groups: {a: [b]}",
		"groups: {a: {hosts: {b: }}}", "groups: {a: {tags: b}}", "defaults: {hosts: a}", "defaults: [a]", "hosts: [{a: b}]", "hosts: {a: {connect_timeout: soon}}", "hosts: {a: {connect_timeout: 90000}}", "[a]",
	} {
		if _, err := Parse("f", []byte(text)); err == nil {
			t.Errorf("the parser takes %s", text)
		}
		doc, ok := asJSON(text)
		if !ok {
			t.Fatalf("%s is no YAML", text)
		}
		if schema.Check(doc) == nil {
			t.Errorf("the schema takes %s", text)
		}
	}
}

// TestSchemaGenerated makes files of pieces that may and may not stand where they
// do: whatever the parser takes, the schema takes.
func TestSchemaGenerated(t *testing.T) {
	schema, err := jsonschema.Load("../docs/schema/inventory.json")
	if err != nil {
		t.Fatal(err)
	}
	values := []string{"a", "22", "\"22\"", "true", "yes", "none", "[a, b]", "[]", "1.5", "10s", "sudo", "{a: 1}", "null", "~/x", "0x10", "\"\"", "2001-01-01"}
	names := append(fieldNames(), "vars", "tags", "hosts", "children", "prot")
	r := rand.New(rand.NewPCG(6, 6))
	taken := 0
	for range 4000 {
		entry := func() string {
			var b strings.Builder
			for i := range 1 + r.IntN(2) {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(names[r.IntN(len(names))] + ": " + values[r.IntN(len(values))])
			}
			return "{" + b.String() + "}"
		}
		text := "hosts: {a: , b: " + entry() + "}\n"
		switch r.IntN(3) {
		case 0:
			text += "defaults: " + entry() + "\n"
		case 1:
			text += "groups: {a: , g: " + entry() + "}\n"
		}
		if _, err := Parse("f", []byte(text)); err != nil {
			continue
		}
		taken++
		doc, ok := asJSON(text)
		if !ok {
			continue
		}
		if err := schema.Check(doc); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	}
	if taken < 300 {
		t.Errorf("the parser took %d of the files only", taken)
	}
}

// The schema knows each setting and no other.
func TestSchemaNamesSettings(t *testing.T) {
	text, err := os.ReadFile("../docs/schema/inventory.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for def, more := range map[string]int{"defaults": 1, "host": 2, "group": 3} {
		props := schema.Defs[def].Properties
		if len(props) != len(fieldNames())+more {
			t.Errorf("%s has %d properties", def, len(props))
		}
		for _, name := range fieldNames() {
			if props[name] == nil {
				t.Errorf("%s has no %s", def, name)
			}
		}
	}
}
