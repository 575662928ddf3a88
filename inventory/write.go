package inventory

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// WriteYAML writes the inventory as one hosts.yaml: defaults, groups and hosts
// say there what they say in the sources. Where another order of precedence, such
// as Ansible's, gives a host something that hosts.yaml would not, the host says it
// itself, so that reading the text gives the same hosts with the same groups,
// settings and variables. Secrets are left out; it gives the names of settings
// and variables that are.
func (inv *Inventory) WriteYAML(w io.Writer) (leftOut []string, err error) {
	x := &writer{inv: inv, secrets: make(map[string]bool)}
	text, err := x.text(nil)
	if err != nil {
		return nil, err
	}
	again, err := Parse("converted", text)
	if err != nil {
		return nil, fmt.Errorf("read what was written: %w", err)
	}
	if fixes := x.compare(again); len(fixes) > 0 {
		if text, err = x.text(fixes); err != nil {
			return nil, err
		}
	}
	_, err = w.Write(text)
	return slices.Sorted(maps.Keys(x.secrets)), err
}

// writer makes the text of one inventory.
type writer struct {
	inv     *Inventory
	secrets map[string]bool // names of what is left out
}

// text writes all; fixes are by host what it says beside its own.
func (x *writer) text(fixes map[int32]*patch) ([]byte, error) {
	b := x.inv.from
	root := &yaml.Node{Kind: yaml.MappingNode}
	var defaults *patch
	b.saidOfGroups(nil, func(_ *Group, p *patch) { defaults = mergePatches(defaults, p) })
	if n := x.patch(defaults); len(n.Content) > 0 {
		x.add(root, "defaults", n)
	}
	if hosts := x.hosts(fixes); len(hosts.Content) > 0 {
		x.add(root, "hosts", hosts)
	}
	if groups := x.groups(); len(groups.Content) > 0 {
		x.add(root, "groups", groups)
	}
	if len(root.Content) == 0 {
		return []byte("hosts: {}\n"), nil
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("write yaml: %w", err)
	}
	return out.Bytes(), enc.Close()
}

func (x *writer) add(to *yaml.Node, key string, value *yaml.Node) {
	to.Content = append(to.Content, textNode(key), value)
}

func textNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if text == "<<" { // no merge
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func (x *writer) words(list []string) *yaml.Node {
	if len(list) == 1 {
		return textNode(list[0])
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, text := range list {
		n.Content = append(n.Content, textNode(text))
	}
	return n
}

// own is what is said of a host itself.
func (x *writer) own(i int32) *patch {
	b := x.inv.from
	var own *patch
	for id := range b.entriesOf(i) {
		own = mergePatches(own, b.entries[id].patch.own())
	}
	if own != nil && own.given&fieldAddress != 0 && own.waiting()&fieldAddress == 0 {
		own = mergePatches(own, &patch{given: fieldAddress, address: x.inv.hosts[i].Address})
	}
	return own
}

// waiting are settings whose text the variables of a host fill in.
func (p *patch) waiting() (f field) {
	for _, t := range p.templates {
		f |= t.setting
	}
	return f
}

// hosts writes all hosts in order: neighbours with nothing of their own to say
// as one range, if there is one.
func (x *writer) hosts(fixes map[int32]*patch) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	var bare []string
	flush := func() {
		for _, name := range foldInOrder(bare) {
			x.add(n, name, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"})
		}
		bare = bare[:0]
	}
	for i, h := range x.inv.hosts {
		says := x.patch(mergePatches(x.own(int32(i)), fixes[int32(i)]))
		if len(says.Content) == 0 {
			bare = append(bare, h.Name)
			continue
		}
		flush()
		says.Style = yaml.FlowStyle
		x.add(n, h.Name, says)
	}
	flush()
	return n
}

// foldInOrder writes names as host sets of one shape each, as far as this keeps
// their order.
func foldInOrder(names []string) []string {
	var out []string
	var f folder
	for from := 0; from < len(names); {
		to := from + 1
		for shape := f.shapeOf(names[from]); to < len(names) && f.shapeOf(names[to]) == shape; {
			to++
		}
		run := names[from:to]
		from = to
		folded := Fold(run)
		if again, err := ExpandSet(folded); err != nil || strings.Contains(folded, "],") || !slices.Equal(again, run) {
			out = append(out, run...)
			continue
		}
		out = append(out, folded)
	}
	return out
}

// groups writes all groups, the weaker of equal depth before the stronger.
func (x *writer) groups() *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	list := slices.Clone(x.inv.groups)
	slices.SortStableFunc(list, (*Group).compare)
	for _, g := range list {
		said := &patch{}
		for _, p := range g.patches {
			said = mergePatches(said, p.patch)
		}
		own := x.patch(said)
		members := &yaml.Node{Kind: yaml.MappingNode}
		if len(g.Hosts) > 0 {
			x.add(members, "hosts", x.words(foldInOrder(namesOf(g.Hosts))))
		}
		if len(g.Children) > 0 {
			var names []string
			for _, child := range g.Children {
				names = append(names, child.Name)
			}
			x.add(members, "children", x.words(names))
		}
		own.Content = append(members.Content, own.Content...)
		if len(own.Content) == 0 {
			own = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
		}
		x.add(n, g.Name, own)
	}
	return n
}

func namesOf(hosts []*Host) []string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name
	}
	return names
}

// patch writes settings and variables as a mapping.
func (x *writer) patch(p *patch) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if p == nil {
		return n
	}
	given := p.given &^ p.waiting()
	for _, name := range fieldNames() {
		f, _ := fieldByName(name)
		if value := x.setting(p, f, given); value != nil {
			x.add(n, name, value)
		}
	}
	for name, f := range map[string]field{"password": fieldPassword, "become_password": fieldBecomePassword} {
		if p.given&f != 0 {
			x.secrets[name] = true
		}
	}
	vars := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	for _, name := range slices.Sorted(maps.Keys(p.vars)) {
		if hasSecret(p.vars[name]) {
			x.secrets["vars."+name] = true
			continue
		}
		x.add(vars, name, valueNode(p.vars[name]))
	}
	if len(vars.Content) > 0 {
		x.add(n, "vars", vars)
	}
	return n
}

// setting writes one setting, nil if it is not given.
func (x *writer) setting(p *patch, f, given field) *yaml.Node {
	if given&f == 0 {
		return nil
	}
	s := p.settings()
	switch f {
	case fieldJump:
		if len(s.Jump) == 0 {
			return textNode("none")
		}
		return x.words(s.Jump)
	case fieldProxyCommand:
		return textNode(cmp.Or(s.ProxyCommand, "none"))
	case fieldPort:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(s.Port)}
	case fieldBecome:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(s.Become)}
	case fieldConnectTimeout:
		return textNode(s.ConnectTimeout.String())
	}
	switch v := s.value(f).(type) {
	case string:
		return textNode(v)
	case []string:
		return x.words(v)
	}
	return nil
}

func hasSecret(v any) bool {
	switch v := v.(type) {
	case Secret:
		return v.IsSet()
	case []any:
		return slices.ContainsFunc(v, hasSecret)
	case map[string]any:
		for _, item := range v {
			if hasSecret(item) {
				return true
			}
		}
	}
	return false
}

// valueNode writes a variable so that it is read with its type.
func valueNode(v any) *yaml.Node {
	switch v := v.(type) {
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
	case uint64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatUint(v, 10)}
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".eE") && !math.IsInf(v, 0) {
			text += ".0"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: text}
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			n.Content = append(n.Content, valueNode(item))
		}
		return n
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, textNode(name), valueNode(v[name]))
		}
		return n
	case string:
		n := textNode(v)
		n.Style = yaml.DoubleQuotedStyle // also what looks like a date or a number of YAML 1.1
		return n
	}
	return textNode(fmt.Sprint(v))
}

// compare finds what hosts have otherwise than they should.
func (x *writer) compare(again *Inventory) map[int32]*patch {
	fixes := make(map[int32]*patch)
	for i, h := range x.inv.hosts {
		got, ok := again.Host(h.Name)
		if !ok {
			continue
		}
		fix := &patch{}
		var given field
		for f := field(1); f < fieldPassword; f <<= 1 {
			if text, ok := h.Settings.value(f).(string); ok && strings.Contains(text, "{{") {
				x.secrets[fmt.Sprintf("%s of %s (it holds a template)", fieldNames()[bits.TrailingZeros32(uint32(f))], h.Name)] = true
				continue
			}
			if h.given&f != 0 && (got.given&f == 0 || !sameValue(h.Settings.value(f), got.Settings.value(f))) {
				given |= f
			}
		}
		fix.put(given, &h.Settings)
		for name, value := range h.Vars {
			if other, ok := got.Vars[name]; (!ok || !reflect.DeepEqual(value, other)) && !hasSecret(value) {
				if fix.vars == nil {
					fix.vars = make(map[string]any)
				}
				fix.vars[name] = value
			}
		}
		if fix.given != 0 || fix.vars != nil {
			fixes[int32(i)] = fix
		}
	}
	return fixes
}

// sameValue compares settings; no list is an empty one.
func sameValue(a, b any) bool {
	x, ok1 := a.([]string)
	y, ok2 := b.([]string)
	if ok1 && ok2 {
		return slices.Equal(x, y)
	}
	return reflect.DeepEqual(a, b)
}
