package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMatchExecRunsOnce asks about one command many times, and about others.
func TestMatchExecRunsOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "runs")
	m := &matchExecs{shell: "/bin/sh", limit: time.Minute, known: make(map[string]verdict)}
	for range 5 {
		if yes, err := m.run("echo run >>" + file); !yes || err != nil {
			t.Fatalf("%v, %v", yes, err)
		}
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "run\n" {
		t.Errorf("%q, %v", text, err)
	}
	if yes, err := m.run("exit 3"); yes || err != nil {
		t.Errorf("a command that fails: %v, %v", yes, err)
	}
	m.shell = "/no/such/shell"
	if _, err := m.run("true"); err == nil || !strings.Contains(err.Error(), "run a Match exec by /no/such/shell: ") {
		t.Errorf("no shell: %v", err)
	}
}

// TestMatchExecIsBounded has a command that does not end.
func TestMatchExecIsBounded(t *testing.T) {
	m := &matchExecs{shell: "/bin/sh", limit: 200 * time.Millisecond, known: make(map[string]verdict)}
	began := time.Now()
	_, err := m.run("exec sleep 60")
	if err == nil || !strings.Contains(err.Error(), "no answer within 200ms") {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}
