// Package tidy holds the rules of the house that a machine can check: how long
// files and functions may grow, which room may import which, where clocks,
// goroutines and locks may stand, how errors read. The rules are the table
// below; tidy_test.go runs them over the whole module, and over testdata, where
// each must find the fault it is for.
package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	maxFileLines = 500
	maxFuncLines = 70
)

type rule struct {
	name  string
	why   string
	check func([]source) []string
}

var rules = []rule{
	{"filelength", "a file is one noun; past 500 lines it is two", fileLength},
	{"funclength", "a function past 70 lines does two things", funcLength},
	{"names", "a room is named for what is in it, and these names say nothing", bannedNames},
	{"packagedoc", "a reader enters a room by its package doc", packageDoc},
	{"imports", "imports run downward only: see docs/architecture.md", imports},
	{"testonly", "what ships must not carry test machinery", testOnly},
	{"scheduler", "the loop owns all state and is replayed from a seed: no clock, goroutine, lock or I/O", schedulerPure},
	{"exit", "only main may end the process, so that everything else can clean up and be tested", oneExit},
	{"sleep", "a sleeping test is slow when it passes and flaky when it fails", noSleep},
	{"errortext", "errors read like os.PathError: operation, then cause, lower case", errorTexts},
}

func fileLength(all []source) (found []string) {
	for _, s := range all {
		if s.lines >= maxFileLines {
			found = append(found, fmt.Sprintf("%s: %d lines, the limit is under %d", s.path, s.lines, maxFileLines))
		}
	}
	return found
}

func funcLength(all []source) (found []string) {
	for _, s := range all {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if n >= maxFuncLines {
				found = append(found, fmt.Sprintf("%s: func %s has %d lines, the limit is under %d", s.pos(f.Pos()), f.Name.Name, n, maxFuncLines))
			}
		}
	}
	return found
}

var banned = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc", "base"}

func bannedNames(all []source) (found []string) {
	for _, s := range all {
		stem := strings.TrimSuffix(strings.TrimSuffix(s.path[strings.LastIndex(s.path, "/")+1:], ".go"), "_test")
		for _, name := range []string{s.file.Name.Name, stem} {
			if slices.Contains(banned, name) {
				found = append(found, fmt.Sprintf("%s: the name %q", s.path, name))
			}
		}
	}
	return found
}

func packageDoc(all []source) (found []string) {
	documented := map[string]bool{}
	dirs := []string{}
	for _, s := range all {
		if s.test {
			continue
		}
		if _, seen := documented[s.dir]; !seen {
			dirs = append(dirs, s.dir)
			documented[s.dir] = false
		}
		if s.file.Doc != nil {
			documented[s.dir] = true
		}
	}
	for _, dir := range dirs {
		if !documented[dir] {
			found = append(found, dir+": no package doc")
		}
	}
	return found
}

// reach is what a room that drives hosts by the engine may import.
var reach = []string{"inventory", "scheduler", "sshpool", "sshpool/hostkeys", "internal/engine", "internal/event", "internal/render"}

// grounds lists, for a room, all that it may import of the module. A room that
// is not listed may import anything below cmd.
var grounds = map[string][]string{
	"inventory":              {},
	"inventory/ansible":      {"inventory"},
	"inventory/source":       {"inventory", "inventory/ansible", "inventory/clustershell"},
	"inventory/clustershell": {"inventory"},
	"scheduler":              {},
	"internal/cron":          {},
	"internal/output":        {},
	"internal/socks":         {},
	"internal/remote":        {},
	"internal/lab":           {"internal/remote"},
	"internal/redact":        {},
	"internal/record":        {"internal/event", "internal/output", "internal/redact", "scheduler"},
	"internal/event":         {"internal/output", "scheduler"},
	"internal/render":        {"internal/event", "internal/output", "scheduler"},
	"internal/forward":       {"internal/socks", "sshpool"},
	"internal/transfer":      {"internal/event", "inventory", "scheduler", "sshpool", "tasks"},
	"internal/shell":         {"internal/event", "internal/render", "inventory", "scheduler", "tasks"},
	"internal/doctor":        reach,
	"internal/trust":         reach,
	"internal/facts":         reach,
	"sshpool/hostkeys":       {},
	"sshpool/sshconfig":      {},
	"sshpool":                {"internal/remote", "scheduler", "sshpool/hostkeys", "sshpool/sshconfig"},
	"tasks":                  {"internal/remote", "scheduler", "inventory"},
	"internal/engine":        {"inventory", "scheduler", "sshpool", "sshpool/hostkeys", "sshpool/sshconfig", "tasks", "internal/event", "internal/output"},
}

const module = "fleet/"

func imports(all []source) (found []string) {
	for _, s := range all {
		if s.test {
			continue
		}
		allowed, listed := grounds[s.dir]
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			room, ours := strings.CutPrefix(path, module)
			switch {
			case !ours:
			case strings.HasPrefix(room, "cmd/"):
				found = append(found, fmt.Sprintf("%s: imports %s", s.pos(imp.Pos()), room))
			case listed && !slices.Contains(allowed, room):
				found = append(found, fmt.Sprintf("%s: %s imports %s", s.pos(imp.Pos()), s.dir, room))
			case s.dir == "sshpool" && room == "scheduler" && !strings.HasSuffix(s.path, "/poller.go"):
				found = append(found, fmt.Sprintf("%s: sshpool meets scheduler in poller.go only", s.pos(imp.Pos())))
			}
		}
	}
	return found
}

var testRooms = []string{"internal/sim", "internal/polltest", "internal/sshtest", "internal/tidy", "internal/jsonschema"}

func testOnly(all []source) (found []string) {
	for _, s := range all {
		if s.test || slices.Contains(testRooms, s.dir) {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			room := strings.TrimPrefix(path, module)
			if path == "testing" || strings.HasPrefix(path, "testing/") || slices.Contains(testRooms, room) {
				found = append(found, fmt.Sprintf("%s: imports %s", s.pos(imp.Pos()), path))
			}
		}
	}
	return found
}

var impure = []string{"sync", "sync/atomic", "os", "net", "os/exec", "os/signal", "math/rand", "math/rand/v2", "log", "log/slog"}

func schedulerPure(all []source) (found []string) {
	for _, s := range all {
		if s.test || s.dir != "scheduler" {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if slices.Contains(impure, path) {
				found = append(found, fmt.Sprintf("%s: imports %s", s.pos(imp.Pos()), path))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				found = append(found, s.pos(n.Pos())+": a go statement")
			case *ast.SelectorExpr:
				if isPkg(n, "time", "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick") {
					found = append(found, s.pos(n.Pos())+": a clock, time."+n.Sel.Name)
				}
			}
			return true
		})
	}
	return found
}

// isPkg says whether sel is pkg.name for one of the names. It goes by the
// identifier; nothing in the module shadows these packages.
func isPkg(sel *ast.SelectorExpr, pkg string, names ...string) bool {
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg && slices.Contains(names, sel.Sel.Name)
}

func oneExit(all []source) (found []string) {
	mains := map[string]int{}
	for _, s := range all {
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !isPkg(sel, "os", "Exit") && !isPkg(sel, "log", "Fatal", "Fatalf", "Fatalln") {
				return true
			}
			mains[s.path]++
			main := s.file.Name.Name == "main" && strings.HasSuffix(s.path, "/main.go")
			testMain := s.test
			if !main && !testMain || main && mains[s.path] > 1 {
				found = append(found, fmt.Sprintf("%s: ends the process", s.pos(sel.Pos())))
			}
			return true
		})
		if strings.HasSuffix(s.path, "cmd/fleet/main.go") && s.lines > 40 {
			found = append(found, fmt.Sprintf("%s: %d lines, main stays within 40", s.path, s.lines))
		}
	}
	return found
}

func noSleep(all []source) (found []string) {
	for _, s := range all {
		if !s.test || importsPath(s, "testing/synctest") { // a sleep there is virtual
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && isPkg(sel, "time", "Sleep") {
				found = append(found, s.pos(sel.Pos())+": time.Sleep in a test")
			}
			return true
		})
	}
	return found
}

func importsPath(s source, path string) bool {
	return slices.ContainsFunc(s.file.Imports, func(imp *ast.ImportSpec) bool { return imp.Path.Value == strconv.Quote(path) })
}

func errorTexts(all []source) (found []string) {
	for _, s := range all {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !isPkg(sel, "errors", "New") && !isPkg(sel, "fmt", "Errorf") {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				return true
			}
			if fault := errorFault(text); fault != "" {
				found = append(found, fmt.Sprintf("%s: error text %q %s", s.pos(lit.Pos()), text, fault))
			}
			return true
		})
	}
	return found
}

func errorFault(text string) string {
	lower := strings.ToLower(text)
	switch {
	case text == "":
		return "is empty"
	case strings.HasPrefix(lower, "failed to"), strings.Contains(lower, ": failed to"), strings.HasPrefix(lower, "error "), strings.HasPrefix(lower, "unable to"):
		return "says that it is an error; name the operation and the cause"
	case capitalWord(text):
		return "starts with a capital"
	case strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "..."), strings.HasSuffix(text, "!"):
		return "ends with punctuation"
	}
	return ""
}

// capitalWord says whether text starts with a word like Failed. A name with
// more capitals than the first, like BindAddress or EOF, is written as it is.
func capitalWord(text string) bool {
	word, _, _ := strings.Cut(text, " ")
	capitals := strings.IndexFunc(word, unicode.IsUpper) == 0
	return capitals && len(word) > 1 && !strings.ContainsFunc(word[1:], unicode.IsUpper)
}
