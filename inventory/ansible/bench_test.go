package ansible

import (
	"bytes"
	"fmt"
	"testing"

	"fleet/inventory"
)

// largeINI is n hosts, each on a line with an address, a port and a variable, in
// groups of a rack each below sites.
func largeINI(n int) []byte {
	var b bytes.Buffer
	for g := range 40 {
		fmt.Fprintf(&b, "[rack%02d]\n", g)
		for i := g; i < n; i += 40 {
			fmt.Fprintf(&b, "web%06d.example.com ansible_host=10.%d.%d.%d ansible_port=2222 serial=%d role=\"front end\"\n", i, i>>16, i>>8&255, i&255, i)
		}
		fmt.Fprintf(&b, "[rack%02d:vars]\nrack=%d\n", g, g)
	}
	b.WriteString("[site:children]\n")
	for g := range 40 {
		fmt.Fprintf(&b, "rack%02d\n", g)
	}
	b.WriteString("[all:vars]\nansible_user=deploy\nntp=pool\n")
	return b.Bytes()
}

// largeYAML is the same as YAML.
func largeYAML(n int) []byte {
	var b bytes.Buffer
	b.WriteString("all:\n  vars:\n    ansible_user: deploy\n    ntp: pool\n  children:\n    site:\n      children:\n")
	for g := range 40 {
		fmt.Fprintf(&b, "        rack%02d:\n          vars:\n            rack: %d\n          hosts:\n", g, g)
		for i := g; i < n; i += 40 {
			fmt.Fprintf(&b, "            web%06d.example.com:\n              ansible_host: 10.%d.%d.%d\n              ansible_port: 2222\n              serial: %d\n              role: front end\n", i, i>>16, i>>8&255, i&255, i)
		}
	}
	return b.Bytes()
}

// largeJSON is the same as a script writes it.
func largeJSON(n int) []byte {
	var b, meta bytes.Buffer
	b.WriteString(`{"all": {"vars": {"ansible_user": "deploy", "ntp": "pool"}, "children": ["site"]}, "site": {"children": ["rack00"`)
	for g := range 39 {
		fmt.Fprintf(&b, `, "rack%02d"`, g+1)
	}
	b.WriteString("]}")
	for g := range 40 {
		fmt.Fprintf(&b, ",\n"+`"rack%02d": {"vars": {"rack": %d}, "hosts": [`, g, g)
		for i := g; i < n; i += 40 {
			if i > g {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, `"web%06d.example.com"`, i)
			if meta.Len() > 0 {
				meta.WriteString(",\n")
			}
			fmt.Fprintf(&meta, `"web%06d.example.com": {"ansible_host": "10.%d.%d.%d", "ansible_port": 2222, "serial": %d, "role": "front end"}`, i, i>>16, i>>8&255, i&255, i)
		}
		b.WriteString("]}")
	}
	fmt.Fprintf(&b, ",\n"+`"_meta": {"hostvars": {%s}}}`+"\n", meta.Bytes())
	return b.Bytes()
}

func BenchmarkRead(b *testing.B) {
	const n = 100_000
	for name, read := range map[string]func(*Reader) *inventory.Content{
		"ini":  func(r *Reader) *inventory.Content { return r.INI("f", largeINI(n)) },
		"yaml": func(r *Reader) *inventory.Content { return r.YAML("f", largeYAML(n)) },
		"json": func(r *Reader) *inventory.Content { return r.Script("f", largeJSON(n), nil) },
	} {
		b.Run(fmt.Sprintf("%s=%d", name, n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				inv, err := inventory.Merge(inventory.Source{Content: read(&Reader{Notes: &Notes{}})})
				if err != nil || len(inv.Hosts()) != n {
					b.Fatal(err)
				}
			}
		})
	}
}
