package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"fleet/internal/jsonschema"
	"fleet/internal/lab"
)

func TestMain(m *testing.M) {
	if _, set := os.LookupEnv("FLEET_SSH_CONFIG"); !set { // that of this machine is not part of the tests
		os.Setenv("FLEET_SSH_CONFIG", "none")
	}
	if filepath.Base(os.Args[0]) != "fleet" { // the tests themselves: records go below the HOME that each test sets
		os.Unsetenv("XDG_STATE_HOME")
		os.Setenv("GORACE", noSleepAtExit)
		waitTogether()
	}
	testscript.Main(m, map[string]func(){"fleet": main})
}

// waitTogether has more tests run at once than there are processors, if nothing
// else was asked for: most of them wait for hosts, limits and other processes.
func waitTogether() {
	asked := false
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))) //nolint:errcheck // it is a number
	}
}

// noSleepAtExit keeps the race detector from sleeping for a second at the end of
// each process, of which the scripts start more than a thousand.
const noSleepAtExit = "atexit_sleep_ms=0"

// TestScripts runs each script of testdata against the built command. Beside
// testscript's own commands a script may use:
//
//	want STATUS ARG...          runs fleet and wants that exit status
//	lab [-real] [-n N] [HOST=FAULT]...
//	                            starts an embedded fleet, known to fleet by $FLEET_INVENTORY,
//	                            its address in $LAB_PORT and its folder in $LAB; -real
//	                            runs commands by this machine's /bin/sh, on its files
//	valid SCHEMA FILE           holds each JSON text of FILE (one a line, if it ends in
//	                            jsonl) to that schema of docs/schema
//	tty STATUS COLUMNS FILE ARG...
//	                            the same on a terminal of that width; writes the screen's
//	                            text, as a person would see it at the end, to FILE
func TestScripts(t *testing.T) {
	schemas, err := filepath.Abs("../../docs/schema")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"want": cmdWant,
			"lab":  cmdLab,
			"tty":  cmdTTY,
			"valid": func(ts *testscript.TestScript, neg bool, args []string) {
				cmdValid(ts, schemas, neg, args)
			},
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("TERM", "xterm-256color")
			e.Setenv("FLEET_SSH_CONFIG", "none")
			e.Setenv("GORACE", noSleepAtExit)
			return os.Mkdir(filepath.Join(e.WorkDir, ".ssh"), 0o700)
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

func cmdWant(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: want STATUS ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("fleet", args[1:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("fleet: %v", err)
	}
	if got != want {
		ts.Fatalf("fleet ended with status %d, want %d", got, want)
	}
}

func cmdLab(ts *testscript.TestScript, neg bool, args []string) {
	cfg := lab.Config{N: 5, Dir: ts.MkAbs("lab")}
	if len(args) > 0 && args[0] == "-real" {
		cfg.RealShell, args = true, args[1:]
	}
	if len(args) > 1 && args[0] == "-n" {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		cfg.N, args = n, args[2:]
	}
	var err error
	cfg.Faults, err = parseFaults(args)
	ts.Check(err)
	l, err := startLab(context.Background(), cfg)
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv("FLEET_INVENTORY", l.InventoryFile())
	ts.Setenv("LAB", cfg.Dir)
	ts.Setenv("LAB_PORT", strconv.Itoa(l.Port()))
}

func cmdTTY(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: tty STATUS COLUMNS FILE ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	columns, err := strconv.Atoi(args[1])
	ts.Check(err)
	args = args[1:]
	exe, err := exec.LookPath("fleet")
	ts.Check(err)
	cmd := exec.Command(exe, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "TERM", "FLEET_INVENTORY", "FLEET_SSH_CONFIG", "FLEET_RECORD", "XDG_STATE_HOME", "NO_COLOR", "PATH"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	screen, status, err := onTerminal(cmd, columns, nil)
	ts.Check(err)
	if status != want {
		ts.Fatalf("fleet ended with status %d, want %d; the screen:\n%s", status, want, strings.Join(screen, "\n"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(screen, "\n")+"\n"), 0o600))
}

func cmdValid(ts *testscript.TestScript, schemas string, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: valid SCHEMA FILE")
	}
	schema, err := jsonschema.Load(filepath.Join(schemas, args[0]+".json"))
	ts.Check(err)
	texts := []string{ts.ReadFile(args[1])}
	if args[0] == "jsonl" || strings.HasSuffix(args[1], ".jsonl") {
		texts = strings.Split(strings.TrimRight(texts[0], "\n"), "\n")
	}
	for _, text := range texts {
		if err := schema.Check([]byte(text)); err != nil {
			ts.Fatalf("%v in %s", err, text)
		}
	}
}
