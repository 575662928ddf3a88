package ansible

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

// python asks the oracle what it makes of texts: ast.literal_eval, shlex.split
// or PyYAML. Those that JSON has no word for are left out of what comes back.
func python(t *testing.T, what string, texts []string) map[string]any {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/python.py")
	var in strings.Builder
	for _, text := range texts {
		line, err := json.Marshal([]string{what, text})
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(line, '\n'))
	}
	cmd.Stdin = strings.NewReader(in.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("these tests need python3 and its yaml: scripts/testdeps installs them: ", err)
	}
	answers := make(map[string]any)
	lines := bufio.NewScanner(strings.NewReader(string(out)))
	lines.Buffer(nil, 1<<20)
	for i := 0; lines.Scan(); i++ {
		var a struct {
			Value any
			Odd   string
		}
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		if a.Odd == "" {
			answers[texts[i]] = a.Value
		}
	}
	if len(answers) < len(texts)/2 {
		t.Fatalf("%d of %d texts have a value", len(answers), len(texts))
	}
	return answers
}

// marked gives a value in the form in which the oracle does.
func marked(v any) any {
	switch v := v.(type) {
	case int64, uint64:
		return map[string]any{"int": fmt.Sprint(v)}
	case float64:
		return map[string]any{"float": floatText(v)}
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, marked(item))
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			out[k] = marked(item)
		}
		return map[string]any{"dict": out}
	}
	return v
}

// made is texts by chance: n of up to most pieces.
func made(n, most int, seed uint64, pieces ...string) []string {
	r := rand.New(rand.NewPCG(seed, seed))
	out := make([]string, n)
	for i := range out {
		var b strings.Builder
		for range 1 + r.IntN(most) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		out[i] = b.String()
	}
	return out
}

func TestLiteralOracle(t *testing.T) {
	texts := []string{"", " 1", "\t1", "1 ", "a", "True", "[1, [2, (3,)], {'a': None}]", strings.Repeat("[", 90) + strings.Repeat("]", 90), "'\\ud800'", "(((1)))", "((1),)", "1,2", "'a' 'b', 'c'", "[1\n]", "(1,\n 2)", "{'a':\n1}"}
	texts = append(texts, made(4000, 6, 1, "1", "0", "'a'", "\"b\"", "[", "]", "(", ")", "{", "}", ",", ":", " ", "-", "+", ".", "e", "_", "True", "None", "0x", "j", "#", "\\", "'", "b", "u", "r", "\\n", "\\x41", "'k': ")...)
	texts = append(texts, made(2000, 5, 2, "1", "2", "0", "9", "_", ".", "e", "E", "-", "+", "x", "o", "b", "f", "j")...)
	texts = append(texts, made(2000, 7, 3, "'", "\"", "a", "\\", "\\t", "\\x4", "\\101", "\\u00fc", "'''", " ", "é", "b'", "r'", "0")...)
	for text, want := range python(t, "literal", texts) {
		if got := marked(Value(text)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, python has %#v", text, got, want)
		}
	}
}

func TestWordsOracle(t *testing.T) {
	texts := made(5000, 8, 4, "a", "=", " ", "\t", "'", "\"", "\\", "#", "b c", "é", "''", "\\\"")
	for text, want := range python(t, "words", texts) {
		words, err := splitWords(text, nil)
		var got any
		if err == nil {
			list := []any{}
			for _, w := range words {
				list = append(list, w.text)
			}
			got = list
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v (%v), python has %#v", text, got, err, want)
		}
	}
}

func TestScalarOracle(t *testing.T) {
	texts := made(6000, 7, 5, "1", "0", "9", "-", "+", ".", "_", ":", "e", "E", "x", "b", "5", "30", "59", "60")
	texts = append(texts, made(3000, 12, 6, "2001", "-", "12", "1", "T", "t", " ", ":", "30", "59", ".", "Z", "+", "5", "00", "2001-12-14", "21:59:43")...)
	texts = append(texts, "yes", "Yes", "yEs", "y", "n", "on", "OFF", "true", "~", "null", "NULL", "nUll", ".inf", "-.INF", ".nan", "=", "<<", "a", "0x1F", "0b11", "0o7", "2001-02-30", "2001-1-1 1:00:00", "685_230.15", "190:20:30", "190:20:30.15", "+12e03", "1.", "0.", "-0.0")
	for text, want := range python(t, "scalar", texts) {
		if strings.TrimSpace(text) != text || text == "" {
			continue
		}
		if got := marked(scalar(text)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, python has %#v", text, got, want)
		}
	}
}
