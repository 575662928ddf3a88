package tasks

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"

	"fleet/inventory"
)

// Template is a command line with places that each host fills in for itself, in
// the syntax of text/template: {{ .Host }}, {{ .Vars.role }}. What a place gives
// is quoted as one word for the host's shell, unless its last step is raw:
// {{ raw .Vars.options }}. A list is quoted word by word.
type Template struct {
	t       *template.Template
	literal string // where t is nil
}

// Place is what a template sees of its host.
type Place struct {
	Host    string // its name in the inventory
	Address string
	Port    int    // 0 if the inventory does not say
	User    string // empty if the inventory does not say
	Groups  []string
	Vars    map[string]any
	Index   int // of the host in the run, from 0
	Count   int // hosts of the run
}

// rawText goes into the line as it is.
type rawText string

// ParseTemplate parses text once, for all hosts.
func ParseTemplate(text string) (*Template, error) { return parseTemplate(text, "shell") }

// ParseWord parses text that becomes a word as a whole: nothing in it is quoted.
func ParseWord(text string) (*Template, error) { return parseTemplate(text, "plain") }

// ParseVariable parses the NAME=VALUE of an environment variable. Nothing in it is
// quoted, and unlike in a command line a secret of the inventory may be filled in:
// what is in a process's environment is for its user and root alone.
func ParseVariable(text string) (*Template, error) { return parseTemplate(text, "reveal") }

// Literal is text that is the same for all hosts.
func Literal(text string) *Template { return &Template{literal: text} }

func parseTemplate(text, as string) (*Template, error) {
	t := template.New("command").Option("missingkey=error").Funcs(template.FuncMap{
		"raw":   func(v any) (rawText, error) { s, err := plainText(v); return rawText(s), err },
		"quote": shellText,
		"shell": shellText,
		"plain": plainText,
	})
	if as == "reveal" {
		t.Funcs(template.FuncMap{"reveal": revealedText})
	}
	t, err := t.Parse(text)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "template: command:"))
	}
	for _, sub := range t.Templates() {
		if sub.Tree != nil && sub.Root != nil {
			finishPlaces(sub.Root, as)
		}
	}
	return &Template{t: t}, nil
}

// finishPlaces has the last step of each place be the function of that name.
func finishPlaces(node parse.Node, as string) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, sub := range n.Nodes {
			finishPlaces(sub, as)
		}
	case *parse.ActionNode:
		if len(n.Pipe.Decl) > 0 {
			return // it gives nothing
		}
		call := parse.NewIdentifier(as).SetTree(nil).SetPos(n.Pos)
		n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{call}})
	case *parse.IfNode:
		finishPlaces(n.List, as)
		finishPlaces(n.ElseList, as)
	case *parse.RangeNode:
		finishPlaces(n.List, as)
		finishPlaces(n.ElseList, as)
	case *parse.WithNode:
		finishPlaces(n.List, as)
		finishPlaces(n.ElseList, as)
	}
}

// Line is the line for one host.
func (t *Template) Line(p Place) (string, error) {
	if t.t == nil {
		return t.literal, nil
	}
	p.Vars = hideSecrets(p.Vars)
	var b strings.Builder
	err := t.t.Execute(&b, p)
	if err == nil && strings.ContainsRune(b.String(), 0) {
		err = errors.New("a NUL byte cannot stand in a command")
	}
	if err != nil {
		return "", templateError(err)
	}
	return b.String(), nil
}

// templateError is what went wrong, and in which place, without the names that
// text/template has for them.
func templateError(err error) error {
	var exec template.ExecError
	if !errors.As(err, &exec) {
		return err
	}
	text := exec.Err.Error()
	place := ""
	if _, rest, found := strings.Cut(text, "at <"); found {
		if name, why, found := strings.Cut(rest, ">: "); found {
			place, text = name, why
		}
	}
	if _, why, found := strings.Cut(text, "error calling "); found {
		if _, why, found = strings.Cut(why, ": "); found {
			text = why
		}
	}
	if _, key, found := strings.Cut(text, "map has no entry for key "); found {
		text = "no variable " + key
	}
	if place == "" || place == "shell" || place == "plain" || place == "reveal" {
		return errors.New(text)
	}
	return fmt.Errorf("{{ %s }}: %s", place, text)
}

// shellText quotes a value for a POSIX shell.
func shellText(v any) (string, error) {
	switch v := v.(type) {
	case rawText:
		return string(v), nil
	case []string:
		return QuoteAll(v), nil
	case []any:
		words := make([]string, len(v))
		for i, sub := range v {
			word, err := plainText(sub)
			if err != nil {
				return "", err
			}
			words[i] = word
		}
		return QuoteAll(words), nil
	}
	s, err := plainText(v)
	return Quote(s), err
}

// plainText is a value as text, if it can be one.
func plainText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", errors.New("no value")
	case string:
		return v, nil
	case rawText:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case uint64:
		return strconv.FormatUint(v, 10), nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatFloat(v, 'f', -1, 64), nil
		}
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case []string:
		return strings.Join(v, " "), nil
	case hidden:
		return "", errors.New("a secret: on the host everybody would see it in the list of processes; an environment variable may hold it")
	case []any, map[string]any:
		return "", fmt.Errorf("a %s, where one value is wanted", kindOf(v))
	}
	return "", fmt.Errorf("a %T, where one value is wanted", v)
}

func kindOf(v any) string {
	if _, list := v.([]any); list {
		return "list"
	}
	return "map"
}

// revealedText is plainText, but of a secret, too.
func revealedText(v any) (string, error) {
	if h, ok := v.(hidden); ok {
		v = h.reveal()
	}
	return plainText(v)
}

// hidden stands for a secret: nothing that a template can do reveals it.
type hidden struct{ reveal func() any }

func (hidden) String() string { return inventory.Hidden }

// hideSecrets gives vars with hidden in place of secrets, and never nil.
func hideSecrets(vars map[string]any) map[string]any {
	out := make(map[string]any, len(vars))
	for name, v := range vars {
		out[name] = hide(v)
	}
	return out
}

func hide(v any) any {
	switch v := v.(type) {
	case inventory.Secret:
		return hidden{v.Reveal}
	case map[string]any:
		return hideSecrets(v)
	case []any:
		out := make([]any, len(v))
		for i, sub := range v {
			out[i] = hide(sub)
		}
		return out
	}
	return v
}

// PlaceOf is what a template sees of h, the index-th of count hosts.
func PlaceOf(h *inventory.Host, index, count int) Place {
	return Place{Host: h.Name, Address: h.Address, Port: h.Port, User: h.User, Groups: h.Groups, Vars: h.Vars, Index: index, Count: count}
}

// Lines are the lines of hosts, by their names. The error names all hosts for
// which there is none, folded where they lack the same.
func Lines(hosts []*inventory.Host, line func(Place) (string, error)) (map[string]string, error) {
	lines := make(map[string]string, len(hosts))
	wrong := map[string][]string{}
	for i, h := range hosts {
		s, err := line(PlaceOf(h, i, len(hosts)))
		if err != nil {
			wrong[err.Error()] = append(wrong[err.Error()], h.Name)
			continue
		}
		lines[h.Name] = s
	}
	if len(wrong) == 0 {
		return lines, nil
	}
	texts := slices.SortedFunc(maps.Keys(wrong), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(wrong[b]), len(wrong[a])), cmp.Compare(a, b))
	})
	var errs []error
	for _, text := range texts {
		errs = append(errs, fmt.Errorf("%s: %s", inventory.Fold(wrong[text]), text))
	}
	return nil, errors.Join(errs...)
}
