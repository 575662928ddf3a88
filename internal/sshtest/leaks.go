package sshtest

import (
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Leaks is a TestMain: it runs the tests and fails if they leave a goroutine or
// an open file behind.
//
//	func TestMain(m *testing.M) { sshtest.Leaks(m) }
func Leaks(m *testing.M, options ...goleak.Option) {
	goleak.VerifyTestMain(filesClosed{m}, options...)
}

// filesClosed runs tests and compares the open files.
type filesClosed struct{ m *testing.M }

func (f filesClosed) Run() int {
	// The network poller keeps files of its own from its first use on.
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close()
	}
	before := openFiles()
	code := f.m.Run()
	if code != 0 {
		return code
	}
	var left []string
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if left = newFiles(before); len(left) == 0 {
			return 0
		}
	}
	fmt.Fprintf(os.Stderr, "%d files left open: %s\n", len(left), strings.Join(left, ", "))
	return 1
}

// openFiles maps the descriptors of this process to what they are; it is
// empty where there is no /proc.
func openFiles() map[string]string {
	found := make(map[string]string)
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if what, err := os.Readlink(l); err == nil {
			found[filepath.Base(l)] = what
		}
	}
	return found
}

func newFiles(before map[string]string) []string {
	now := openFiles()
	maps.DeleteFunc(now, func(fd, what string) bool {
		return before[fd] == what || strings.HasPrefix(what, "anon_inode:[event") || strings.HasPrefix(what, "/proc/")
	})
	return slices.Sorted(maps.Values(now))
}
