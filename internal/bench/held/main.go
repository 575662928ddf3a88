// Command held opens connections, runs a command on each, keeps all of them
// open, and prints how much memory the process holds with one of them and with
// all: "before BYTES after BYTES". -by says through what: sshpool, or bare for
// golang.org/x/crypto/ssh alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

func main() {
	var o options
	by := flag.String("by", "sshpool", "what holds the connections: sshpool or bare")
	flag.StringVar(&o.key, "key", "", "private key file")
	flag.StringVar(&o.user, "user", "ops", "user to log in as")
	flag.StringVar(&o.knownHosts, "known-hosts", "", "known_hosts file")
	list := flag.String("addresses", "", "file of address:port lines")
	n := flag.Int("n", 0, "take the first n addresses")
	flag.Parse()
	if err := run(o, *by, *list, *n); err != nil {
		fmt.Fprintln(os.Stderr, "held:", err)
		os.Exit(1)
	}
}

type options struct{ key, user, knownHosts string }

// holder opens connections and holds them until it is closed.
type holder interface {
	open(ctx context.Context, addr string) error
	io.Closer
}

func run(o options, by, list string, n int) error {
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	addrs := strings.Fields(string(text))
	if len(addrs) < n || n < 2 {
		return fmt.Errorf("%d addresses, %d wanted", len(addrs), n)
	}
	var h holder
	switch by {
	case "sshpool":
		h, err = newPooled(o)
	case "bare":
		h, err = newBare(o)
	default:
		return fmt.Errorf("unknown holder %q", by)
	}
	if err != nil {
		return err
	}
	defer h.Close()
	if err := openAll(h, addrs[:1]); err != nil {
		return err
	}
	before, err := resident()
	if err != nil {
		return err
	}
	if err := openAll(h, addrs[1:n]); err != nil {
		return err
	}
	after, err := resident()
	if err != nil {
		return err
	}
	fmt.Printf("before %d after %d\n", before, after)
	return nil
}

// openAll opens a connection to each address, a hundred at once.
func openAll(h holder, addrs []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	queue := make(chan string)
	failed := make(chan error, len(addrs))
	var workers sync.WaitGroup
	for range min(100, len(addrs)) {
		workers.Go(func() {
			for addr := range queue {
				if err := h.open(ctx, addr); err != nil {
					failed <- fmt.Errorf("%s: %w", addr, err)
				}
			}
		})
	}
	for _, addr := range addrs {
		queue <- addr
	}
	close(queue)
	workers.Wait()
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// resident is the resident set of this process in bytes (proc_pid_statm(5)),
// after a garbage collection that gives free memory back.
func resident() (int64, error) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var total, pages int64
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		return 0, fmt.Errorf("read /proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}
