package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// must stops the test for an error of a name or value that is right.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// What a Content says goes in beside a hosts.yaml, overlays stand above groups
// but below hosts, and Says tells all of it in order.
func TestContentLayers(t *testing.T) {
	entry := must[Entry](t)
	c := NewContent("other")
	c.SortGroups()
	c.KeepUngrouped()
	c.All().Var("a", "all", Mark{1, 1})
	top, sub := entry(c.Group("top", Mark{2, 1})), entry(c.Group("sub", Mark{3, 1}))
	top.AddChild("sub", Mark{2, 5})
	web := entry(sub.AddHost("web1", Mark{3, 7}))
	for i, e := range []Entry{top, sub, web} {
		e.Var("a", i, Mark{10 + i, 1})
		if i < 2 {
			e.Var("b", i, Mark{10 + i, 2})
		}
	}
	if err := web.Setting("port", Mark{12, 3}, "2222"); err != nil {
		t.Fatal(err)
	}
	entry(c.Host("lone", Mark{4, 1}))
	over := NewContent("over")
	entry(over.Group("top", Mark{1, 1})).Var("b", "over", Mark{1, 2})
	entry(over.Group("nosuch", Mark{1, 1})).Var("b", "over", Mark{1, 2})
	entry(over.Host("nosuch", Mark{1, 1})).Var("b", "over", Mark{1, 2})
	late := func(k Known) []*Content {
		if !k.Host("web1") || k.Host("nosuch") || !k.Group("sub") || !k.Group(All) || k.Group("nosuch") {
			t.Error("not what is known")
		}
		return []*Content{over}
	}
	inv, err := Merge(Source{Late: late}, Source{File: "hosts.yaml", Data: []byte("groups: {site: {hosts: web1, port: 22, vars: {a: site}}}\n")}, Source{Content: c})
	if err != nil {
		t.Fatal(err)
	}
	h, _ := inv.Host("web1")
	if want := []string{"site", "top", "sub"}; !slices.Equal(h.Groups, want) || h.Port != 2222 || h.Vars["a"] != 2 || h.Vars["b"] != "over" {
		t.Errorf("%+v", h)
	}
	if lone, _ := inv.Host("lone"); !slices.Equal(lone.Groups, []string{Ungrouped}) || len(inv.Hosts()) != 2 {
		t.Errorf("%+v", lone)
	}
	var said []string
	for _, s := range h.Says() {
		said = append(said, fmt.Sprintf("%s:%d:%d %s %v=%v by %s", s.At.File, s.At.Line, s.At.Column, map[bool]string{true: "setting", false: "var"}[s.Setting], s.Name, s.Value, s.By))
	}
	want := `other:1:1 var a=all by defaults
hosts.yaml:1:30 setting port=22 by group site
hosts.yaml:1:47 var a=site by group site
other:10:1 var a=0 by group top
other:10:2 var b=0 by group top
other:11:1 var a=1 by group sub
other:11:2 var b=1 by group sub
over:1:2 var b=over by group top
other:12:1 var a=2 by host web1
other:12:3 setting port=2222 by host web1`
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestContentErrors(t *testing.T) {
	c := NewContent("f")
	var e *Error
	if _, err := c.Host("-x", Mark{3, 4}); !errors.As(err, &e) || err.Error() != `f:3:4: host name "-x" starts with a dash` {
		t.Error(err)
	}
	if _, err := c.Group("a/b", Mark{3, 4}); !errors.As(err, &e) || err.Error() != `f:3:4: group name "a/b" holds '/'` {
		t.Error(err)
	}
	h := must[Entry](t)(c.Host("x", Mark{1, 1}))
	if err := h.Setting("port", Mark{1, 2}, "many"); err == nil || err.Error() != `f:1:2: port "many" is not a number` {
		t.Error(err)
	}
	if err := h.Setting("prot", Mark{1, 2}, "22"); err == nil {
		t.Error("an unknown setting is taken")
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
	c.Fail(&Error{Line: 2, Msg: "odd"})
	if _, err := Merge(Source{Content: c}); err == nil || err.Error() != "f:2: odd" {
		t.Error(err)
	}
}
