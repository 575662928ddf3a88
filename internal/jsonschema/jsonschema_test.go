package jsonschema

import (
	"strings"
	"testing"
)

func mustParse(t *testing.T, text string) Schema {
	t.Helper()
	s, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
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
		{`{"properties":{"a":{}},"additionalProperties":{"const":1}}`, `{} {"a":2} {"b":1}`, `{"b":2} {"a":1,"b":2}`},
		{`{"oneOf":[{"required":["a"]},{"required":["b"]}]}`, `{"a":1} {"b":1}`, `{} {"a":1,"b":1}`},
		{`{"anyOf":[{"type":"null"},{"const":1}]}`, `null 1`, `2`},
		{`{"allOf":[{"minimum":1},{"maximum":2}]}`, `1 2`, `0 3`},
		{`{"$ref":"#/$defs/x","$defs":{"x":{"const":1}}}`, `1`, `2`},
		{`{"properties":{"a":{"items":{"$ref":"#/$defs/x"}}},"$defs":{"x":{"const":1}}}`, `{"a":[1,1]}`, `{"a":[1,2]}`},
		{`{"$ref":"#/$defs/none","$defs":{}}`, ``, `1`},
		{`{"maxItems":3}`, ``, `[]`},
	} {
		s := mustParse(t, c.schema)
		for _, text := range strings.Fields(c.good) {
			if err := s.Check([]byte(text)); err != nil {
				t.Errorf("%s refuses %s: %v", c.schema, text, err)
			}
		}
		for _, text := range strings.Fields(c.bad) {
			if s.Check([]byte(text)) == nil {
				t.Errorf("%s takes %s", c.schema, text)
			}
		}
	}
}
