// Package jsonschema checks JSON texts against the schemas in docs/schema, for
// tests. It knows what those files use of JSON Schema (draft 2020-12); a keyword
// that it does not know is an error, so that no rule is passed over in silence.
package jsonschema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Schema is a parsed schema. It does not change and may be used concurrently.
type Schema struct {
	root map[string]any
}

// Load reads the schema in the file at path.
func Load(path string) (Schema, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Schema{}, err
	}
	s, err := Parse(text)
	if err != nil {
		return Schema{}, fmt.Errorf("parse %s: %w", path, err)
	}
	return s, nil
}

// Parse parses the text of a schema.
func Parse(text []byte) (Schema, error) {
	var s Schema
	err := json.Unmarshal(text, &s.root)
	return s, err
}

// Check parses one JSON text and says where it breaks the schema, if anywhere.
func (s Schema) Check(text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	return s.validate(s.root, v, "$")
}

func (s Schema) validate(rules map[string]any, v any, at string) error {
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		if err := s.keyword(rules, key, v, at); err != nil {
			return err
		}
	}
	return nil
}

func (s Schema) keyword(rules map[string]any, key string, v any, at string) error {
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
	case "required", "properties", "patternProperties", "additionalProperties", "items":
		return s.children(rules, key, v, at)
	default:
		return fault("the schema uses %s, which this test does not know", key)
	}
	return nil
}

func (s Schema) combine(key string, subs []any, v any, at string) error {
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

func (s Schema) children(rules map[string]any, key string, v any, at string) error {
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
	patterns, _ := rules["patternProperties"].(map[string]any)
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
	case "patternProperties":
		for pattern, sub := range patterns {
			for name, e := range object {
				if !regexp.MustCompile(pattern).MatchString(name) {
					continue
				}
				if err := s.validate(sub.(map[string]any), e, at+"."+name); err != nil {
					return err
				}
			}
		}
	case "additionalProperties":
		rest, _ := rules[key].(map[string]any)
		if rest == nil && rules[key] != false {
			return fmt.Errorf("%s: the schema has additionalProperties other than false or a schema", at)
		}
		for name, e := range object {
			if _, ok := known[name]; ok || matchesAny(patterns, name) {
				continue
			}
			if rest == nil {
				return fmt.Errorf("%s: %s is not allowed", at, name)
			}
			if err := s.validate(rest, e, at+"."+name); err != nil {
				return err
			}
		}
	}
	return nil
}

// matchesAny says whether one of the patterns, which are keys, is for the name.
func matchesAny(patterns map[string]any, name string) bool {
	for pattern := range patterns {
		if regexp.MustCompile(pattern).MatchString(name) {
			return true
		}
	}
	return false
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
