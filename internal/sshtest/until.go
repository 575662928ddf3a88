package sshtest

import (
	"testing"
	"time"
)

// Until waits until something is so, and fails the test where that takes more
// than a minute. It is for what only a look can tell, such as files of a server.
func Until(t testing.TB, what string, so func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("no %s within a minute", what)
		}
	}
}
