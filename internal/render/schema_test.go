package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// schema is a JSON Schema (draft 2020-12), of which validate knows what the
// files of docs/schema use; a keyword that it does not know is a fault.
type schema struct {
	root map[string]any
}

func loadSchema(t *testing.T, name string) schema {
	t.Helper()
	p, err := os.ReadFile("../../docs/schema/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return parseSchema(t, string(p))
}

func parseSchema(t *testing.T, text string) schema {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	return schema{root}
}

// check parses one JSON text and validates it.
func (s schema) check(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	return s.validate(s.root, v, "$")
}

func (s schema) validate(rules map[string]any, v any, at string) error {
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		if err := s.keyword(rules, key, v, at); err != nil {
			return err
		}
	}
	return nil
}

func (s schema) keyword(rules map[string]any, key string, v any, at string) error {
	arg := rules[key]
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...))
	}
	switch key {
	case "$schema", "$id", "$defs", "title", "description", "format", "contentEncoding":
	case "$ref":
		def, ok := s.root["$defs"].(map[string]any)[strings.TrimPrefix(arg.(string), "#/$defs/")].(map[string]any)
		if !ok {
			return fault("no definition %v", arg)
		}
		return s.validate(def, v, at)
	case "type":
		if !hasType(v, arg) {
			return fault("%v is not of type %v", v, arg)
		}
	case "const":
		if !reflect.DeepEqual(v, arg) {
			return fault("%v is not %v", v, arg)
		}
	case "enum":
		if !slices.ContainsFunc(arg.([]any), func(e any) bool { return reflect.DeepEqual(v, e) }) {
			return fault("%v is not one of %v", v, arg)
		}
	case "oneOf", "anyOf", "allOf":
		return s.combine(key, arg.([]any), v, at)
	case "minimum", "maximum", "minLength", "pattern":
		if !within(key, arg, v) {
			return fault("%v breaks %s %v", v, key, arg)
		}
	case "required", "properties", "additionalProperties", "items":
		return s.children(rules, key, v, at)
	default:
		return fault("the schema uses %s, which this test does not know", key)
	}
	return nil
}

func (s schema) combine(key string, subs []any, v any, at string) error {
	var errs []error
	for _, sub := range subs {
		if err := s.validate(sub.(map[string]any), v, at); err != nil {
			errs = append(errs, err)
		}
	}
	good := len(subs) - len(errs)
	if key == "oneOf" && good != 1 || key == "anyOf" && good == 0 || key == "allOf" && len(errs) > 0 {
		return fmt.Errorf("%s: %d of %d match in %s: %v", at, good, len(subs), key, errs)
	}
	return nil
}

func (s schema) children(rules map[string]any, key string, v any, at string) error {
	if list, ok := v.([]any); ok && key == "items" {
		for i, e := range list {
			if err := s.validate(rules[key].(map[string]any), e, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	known, _ := rules["properties"].(map[string]any)
	switch key {
	case "required":
		for _, name := range rules[key].([]any) {
			if _, ok := object[name.(string)]; !ok {
				return fmt.Errorf("%s: %s is missing", at, name)
			}
		}
	case "properties":
		for name, sub := range known {
			if e, ok := object[name]; ok {
				if err := s.validate(sub.(map[string]any), e, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		if rules[key] != false {
			return fmt.Errorf("%s: the schema has additionalProperties other than false", at)
		}
		for name := range object {
			if _, ok := known[name]; !ok {
				return fmt.Errorf("%s: %s is not allowed", at, name)
			}
		}
	}
	return nil
}

func hasType(v, types any) bool {
	list, ok := types.([]any)
	if !ok {
		list = []any{types}
	}
	return slices.ContainsFunc(list, func(name any) bool {
		switch v := v.(type) {
		case nil:
			return name == "null"
		case bool:
			return name == "boolean"
		case string:
			return name == "string"
		case float64:
			return name == "number" || name == "integer" && v == math.Trunc(v)
		case []any:
			return name == "array"
		case map[string]any:
			return name == "object"
		}
		return false
	})
}

// within judges limits, which bind only values of the type that they are for.
func within(key string, arg, v any) bool {
	switch v := v.(type) {
	case float64:
		return key == "minimum" && v >= arg.(float64) || key == "maximum" && v <= arg.(float64) || key == "minLength" || key == "pattern"
	case string:
		return key == "minLength" && float64(len([]rune(v))) >= arg.(float64) ||
			key == "pattern" && regexp.MustCompile(arg.(string)).MatchString(v) || key == "minimum" || key == "maximum"
	}
	return true
}

func TestValidator(t *testing.T) {
	for _, c := range []struct{ schema, good, bad string }{
		{`{"type":"string"}`, `"a" ""`, `1 null true [] {}`},
		{`{"type":["integer","null"]}`, `1 -1 2.0 null`, `1.5 "1" false`},
		{`{"type":"number"}`, `1 1.5`, `"1"`},
		{`{"type":"boolean"}`, `true false`, `0 "true"`},
		{`{"const":1}`, `1 1.0`, `2 "1" null`},
		{`{"enum":["a",null]}`, `"a" null`, `"b" 1`},
		{`{"minimum":0,"maximum":5}`, `0 5 "x"`, `-1 6`},
		{`{"minLength":2}`, `"éé" 1`, `"é" ""`},
		{`{"pattern":"^a+$"}`, `"a" "aa" 1`, `"" "ab"`},
		{`{"items":{"type":"integer"}}`, `[] [1,2] {}`, `[1,"a"]`},
		{`{"required":["a"]}`, `{"a":null} []`, `{} {"b":1}`},
		{`{"properties":{"a":{"type":"null"}}}`, `{} {"a":null} {"b":1}`, `{"a":1}`},
		{`{"properties":{"a":{}},"additionalProperties":false}`, `{} {"a":1} []`, `{"b":1} {"a":1,"b":1}`},
		{`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1} {"b":1}`, `{} {"a":1,"b":1}`},
		{`{"anyOf":[{"type":"null"},{"const":1}]}`, `null 1`, `2`},
		{`{"allOf":[{"minimum":1},{"maximum":2}]}`, `1 2`, `0 3`},
		{`{"$ref":"#/$defs/x","$defs":{"x":{"const":1}}}`, `1`, `2`},
		{`{"properties":{"a":{"items":{"$ref":"#/$defs/x"}}},"$defs":{"x":{"const":1}}}`, `{"a":[1,1]}`, `{"a":[1,2]}`},
		{`{"$ref":"#/$defs/none","$defs":{}}`, ``, `1`},
		{`{"maxItems":3}`, ``, `[]`},
	} {
		s := parseSchema(t, c.schema)
		for _, text := range strings.Fields(c.good) {
			if err := s.check([]byte(text)); err != nil {
				t.Errorf("%s refuses %s: %v", c.schema, text, err)
			}
		}
		for _, text := range strings.Fields(c.bad) {
			if s.check([]byte(text)) == nil {
				t.Errorf("%s takes %s", c.schema, text)
			}
		}
	}
}

// hostileRun is a run whose names, texts and outputs are anything.
func hostileRun() []host {
	hosts := mixed()
	for i, p := range pieces {
		hosts = append(hosts, host{
			name: fmt.Sprintf("h%d%s", i, p), stdout: "a" + p, stderr: p + "b", outcome: "failed", exit: -1,
			signal: p, cause: bannerTimeout, truncated: i%2 == 0,
		})
		hosts[len(hosts)-1].cause.Text = p + "c"
	}
	return hosts
}

func TestJSONLFollowsSchema(t *testing.T) {
	s := loadSchema(t, "jsonl.json")
	out, _ := show(t, "jsonl", Options{}, hostileRun())
	lines := bytes.Split([]byte(strings.TrimSuffix(out, "\n")), []byte("\n"))
	types := map[string]int{}
	for _, line := range lines {
		if err := s.check(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		var l struct{ Type string }
		json.Unmarshal(line, &l)
		types[l.Type]++
	}
	if types["run"] != 1 || types["summary"] != 1 || types["result"] != len(hostileRun()) || types["output"] == 0 {
		t.Errorf("types of lines: %v", types)
	}
}

func TestDocumentFollowsSchema(t *testing.T) {
	s := loadSchema(t, "json.json")
	for _, hosts := range [][]host{nil, mixed(), hostileRun()} {
		out, _ := show(t, "json", Options{}, hosts)
		if err := s.check([]byte(out)); err != nil {
			t.Error(err)
		}
	}
}

// The schemas must refuse what is almost right.
func TestSchemasRefuse(t *testing.T) {
	out, _ := show(t, "jsonl", Options{}, mixed())
	doc, _ := show(t, "json", Options{}, mixed()[:1])
	for _, c := range []struct{ file, text, from, to string }{
		{"jsonl.json", lineOf(out, "run"), `"hosts":30`, `"hosts":-1`},
		{"jsonl.json", lineOf(out, "run"), `,"time"`, `,"more":1,"time"`},
		{"jsonl.json", lineOf(out, "output"), `"data"`, `"date"`},
		{"jsonl.json", lineOf(out, "output"), `"stdout"`, `"stdin"`},
		{"jsonl.json", lineOf(out, "result"), `"outcome":"ok"`, `"outcome":"fine"`},
		{"jsonl.json", lineOf(out, "result"), `"cause":null,`, ``},
		{"jsonl.json", lineOf(out, "result"), `"exit_code":0`, `"exit_code":"0"`},
		{"jsonl.json", lineOf(out, "summary"), `"lost":1,`, ``},
		{"json.json", doc, `"stdout":"`, `"stdout_b64":"A","stdout":"`},
		{"json.json", doc, `"v":1`, `"v":2`},
		{"json.json", doc, `"wall_ms":812`, `"wall_ms":1.5`},
	} {
		s := loadSchema(t, c.file)
		changed := strings.Replace(c.text, c.from, c.to, 1)
		if changed == c.text {
			t.Errorf("%s is not in %s", c.from, c.text)
		}
		if err := s.check([]byte(c.text)); err != nil {
			t.Error(err)
		}
		if s.check([]byte(changed)) == nil {
			t.Errorf("%s takes %s", c.file, changed)
		}
	}
}

// lineOf is the first line of a type.
func lineOf(out, typ string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, `"type":"`+typ+`"`) {
			return line
		}
	}
	return ""
}

func TestHostsSchema(t *testing.T) {
	s := loadSchema(t, "hosts.json")
	good := `{"v":1,"hosts":[{"name":"a","address":"10.0.0.1","port":22,"user":"","groups":["web"],"vars":{"x":[1]}},{"name":"b","address":"b","port":22,"user":"u","groups":[]}]}`
	if err := s.check([]byte(good)); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{
		{`"port":22`, `"port":"22"`}, {`"port":22`, `"port":-1`}, {`"name":"a",`, ``},
		{`"groups":["web"]`, `"groups":null`}, {`"v":1`, `"v":2`}, {`"user":"u"`, `"usr":"u"`},
	} {
		changed := strings.Replace(good, c[0], c[1], 1)
		if changed == good || s.check([]byte(changed)) == nil {
			t.Errorf("takes %s", changed)
		}
	}
}
