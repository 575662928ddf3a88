package sshpool_test

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// packages are those that docs/paramiko.md takes names from.
var packages = map[string]string{
	"sshpool": "fleet/sshpool", "hostkeys": "fleet/sshpool/hostkeys", "sshconfig": "fleet/sshpool/sshconfig",
	"ssh": "golang.org/x/crypto/ssh", "agent": "golang.org/x/crypto/ssh/agent",
	"io": "io", "net": "net", "bufio": "bufio", "context": "context", "slog": "log/slog",
	"rsa": "crypto/rsa", "ecdsa": "crypto/ecdsa", "ed25519": "crypto/ed25519",
}

// names are the exported names of a package, "Dial", "Conn.Exec" and
// "Command.Text", and those of its examples.
type names map[string]bool

func (n names) add(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				n[d.Name.Name] = true
			} else if recv := typeName(d.Recv.List[0].Type); recv != "" {
				n[recv+"."+d.Name.Name] = true
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				n.addSpec(s)
			}
		}
	}
}

func (n names) addSpec(s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			n[name.Name] = true
		}
	case *ast.TypeSpec:
		n[s.Name.Name] = true
		var fields *ast.FieldList
		switch t := s.Type.(type) {
		case *ast.StructType:
			fields = t.Fields
		case *ast.InterfaceType:
			fields = t.Methods
		default:
			return
		}
		for _, f := range fields.List {
			for _, name := range f.Names {
				n[s.Name.Name+"."+name.Name] = true
			}
		}
	}
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// namesOf reads a package, its tests included, as they hold the examples.
func namesOf(t *testing.T, path string) names {
	t.Helper()
	p, err := build.Import(path, ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("package %s: no files in %s", path, p.Dir)
	}
	found := names{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		found.add(f)
	}
	return found
}

// parity is a line of a table: the names of Paramiko, ours, and the examples.
type parity struct {
	section string
	cells   []string
}

func readParity(t *testing.T) (rows []parity) {
	t.Helper()
	text, err := os.ReadFile("../docs/paramiko.md")
	if err != nil {
		t.Fatal(err)
	}
	section := ""
	for i, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, "## "); ok {
			section = rest
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| Paramiko") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 3 {
			t.Errorf("docs/paramiko.md:%d: %d cells, want 3", i+1, len(cells))
			continue
		}
		rows = append(rows, parity{section, cells})
	}
	return rows
}

// TestParityNamesExist holds docs/paramiko.md to what there is: each Go name
// and each example in it.
func TestParityNamesExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/paramiko.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]names{}
	name := regexp.MustCompile("`(\\w+)\\.([\\w.]+)`")
	all := name.FindAllStringSubmatch(string(text), -1)
	if len(all) < 200 {
		t.Fatalf("docs/paramiko.md has %d names: is it the table?", len(all))
	}
	for _, m := range all {
		path, ok := packages[m[1]]
		if !ok {
			t.Errorf("%s: no such package", m[0])
			continue
		}
		if known[m[1]] == nil {
			known[m[1]] = namesOf(t, path)
		}
		if !known[m[1]][m[2]] {
			t.Errorf("docs/paramiko.md: %s does not exist", m[0])
		}
	}
	for _, r := range readParity(t) {
		if c := r.cells[2]; !strings.HasPrefix(c, "none") && !strings.Contains(c, ".Example") {
			t.Errorf("%s, %s: neither an example nor a reason in %q", r.section, r.cells[0], c)
		}
	}
}

// TestParityIsComplete wants a row for each public name of Paramiko 4: of
// classes with a table each member, of others the class.
func TestParityIsComplete(t *testing.T) {
	rows := readParity(t)
	has := func(section, name string) bool {
		return slices.ContainsFunc(rows, func(r parity) bool {
			in := section == "" || slices.Contains(strings.Split(r.section, ", "), section)
			return in && slices.Contains(strings.Split(r.cells[0], ", "), name)
		})
	}
	titled := func(class string) bool {
		return slices.ContainsFunc(rows, func(r parity) bool { return slices.Contains(strings.Split(r.section, ", "), class) })
	}
	list, err := os.ReadFile("testdata/paramiko.txt")
	if err != nil {
		t.Fatal(err)
	}
	items := strings.Fields(string(list))
	if len(items) < 300 {
		t.Fatalf("list of %d names", len(items))
	}
	for _, item := range items {
		class, member, _ := strings.Cut(item, ".")
		ok := has("", item) || has(class, member)
		switch {
		case member == "":
			ok = ok || titled(class)
		case strings.HasSuffix(class, "Key"): // one row for all kinds of keys
			ok = ok || has("PKey", member)
		}
		if !ok && (member == "" || titled(class) || !has("", class)) {
			t.Errorf("docs/paramiko.md has no row for %s", item)
		}
	}
}
