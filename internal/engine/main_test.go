package engine

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"fleet/internal/sshtest"
)

// TestMain is also the entry of the processes that tests start from their own
// binary: one that is nothing but a lab, one that is nothing but a run, so that
// each has memory of its own to be measured.
func TestMain(m *testing.M) {
	role := os.Getenv("FLEET_TEST_ROLE")
	if role == "" {
		sshtest.Leaks(m)
		return
	}
	serve := map[string]func([]byte) (any, error){"lab": labProcess, "run": runProcess}[role]
	answer, err := serve([]byte(os.Getenv("FLEET_TEST_TASK")))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
