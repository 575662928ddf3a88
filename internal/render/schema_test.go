package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"fleet/internal/jsonschema"
)

func loadSchema(t *testing.T, name string) jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.Load("../../docs/schema/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
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
		if err := s.Check(line); err != nil {
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
		if err := s.Check([]byte(out)); err != nil {
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
		if err := s.Check([]byte(c.text)); err != nil {
			t.Error(err)
		}
		if s.Check([]byte(changed)) == nil {
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
	if err := s.Check([]byte(good)); err != nil {
		t.Error(err)
	}
	for _, c := range [][2]string{
		{`"port":22`, `"port":"22"`}, {`"port":22`, `"port":-1`}, {`"name":"a",`, ``},
		{`"groups":["web"]`, `"groups":null`}, {`"v":1`, `"v":2`}, {`"user":"u"`, `"usr":"u"`},
	} {
		changed := strings.Replace(good, c[0], c[1], 1)
		if changed == good || s.Check([]byte(changed)) == nil {
			t.Errorf("takes %s", changed)
		}
	}
}
