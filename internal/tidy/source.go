package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// source is one parsed Go file of the module.
type source struct {
	path  string // from the module's root, with slashes
	dir   string
	lines int
	test  bool
	file  *ast.File
	fset  *token.FileSet
}

func (s source) pos(p token.Pos) string {
	at := s.fset.Position(p)
	return s.path + ":" + strconv.Itoa(at.Line)
}

// load parses every Go file below root.
func load(root string) ([]source, error) {
	var all []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		all = append(all, source{
			path: rel, dir: filepath.ToSlash(filepath.Dir(rel)),
			lines: strings.Count(string(text), "\n"),
			test:  strings.HasSuffix(rel, "_test.go"), file: f, fset: fset,
		})
		return nil
	})
	return all, err
}
