package ansible

import (
	"encoding/json"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// FuzzFoldedJSON wants the same nodes of JSON whether or not mappings were kept
// as their text.
func FuzzFoldedJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a": {"b": {"c": [1, {"d": "}\\\"{"}]}}, "e": {}}`, "{\"a\":\n {\"b\":\n\n  1}, \"ä\": {\"ö\": 2}, \"c\": [{\"d\": 3}, {\n}, 4]}",
		`[{"a": 1}, [{"b": 2}], "x"]`, `{"a": {"\u00e4": "\ud83d\ude00"}, "b": 1e5}`, `{"big": {"x": "` + strings.Repeat("y", maxFolded) + `", "z": {"u": "v"}}, "w": {"q": 1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !json.Valid(data) {
			return
		}
		want := (&jsonText{text: string(data), line: 1, whole: true}).value()
		sameOpened(t, data, jsonNodes(string(data)), want)
	})
}

func sameOpened(t *testing.T, data []byte, got, want *yaml.Node) {
	t.Helper()
	if isFolded(got) {
		got = openJSON(got)
	}
	if got.Kind != want.Kind || got.Tag != want.Tag || got.Value != want.Value || got.Line != want.Line || got.Column != want.Column || len(got.Content) != len(want.Content) {
		t.Fatalf("%q:\ngot  %+v\nwant %+v", data, got, want)
	}
	for i := range got.Content {
		sameOpened(t, data, got.Content[i], want.Content[i])
	}
}

// The files of the benchmark keep two or three nodes a host, of ten.
func TestFolded(t *testing.T) {
	root, ok := plainYAML(largeYAML(2000))
	if !ok {
		t.Fatal("not the fast way")
	}
	for name, root := range map[string]*yaml.Node{"yaml": root, "json": jsonNodes(string(largeJSON(2000)))} {
		if n := nodesOf(root); n > 8000 {
			t.Errorf("%s: %d nodes for 2000 hosts", name, n)
		}
	}
}

func nodesOf(n *yaml.Node) int {
	total := 1
	for _, child := range n.Content {
		total += nodesOf(child)
	}
	return total
}
