package sshpool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"fleet/internal/lab"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// fleet starts servers to talk to and gives a target for each.
func fleet(faults map[string]lab.Fault, names ...string) (targets []sshpool.Target, end func()) {
	dir, err := os.MkdirTemp("", "sshpool")
	if err != nil {
		log.Fatal(err)
	}
	l, err := lab.Start(context.Background(), lab.Config{Names: names, Faults: faults, Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	if err := l.WriteFiles(); err != nil {
		log.Fatal(err)
	}
	known, err := hostkeys.Load(l.KnownHostsFile())
	if err != nil {
		log.Fatal(err)
	}
	auth := &sshpool.Auth{Keys: []string{l.KeyFile()}}
	for _, h := range l.Hosts() {
		targets = append(targets, sshpool.Target{Address: h.Address, Port: h.Port, User: "me",
			Auth: auth, HostKeys: &hostkeys.Policy{Index: known}})
	}
	return targets, func() {
		auth.Close()
		l.Close()
		os.RemoveAll(dir)
	}
}

func ExampleDial() {
	targets, end := fleet(nil, "web1") // in real life: a Target with an address, a user, an Auth and HostKeys
	defer end()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	conn, err := sshpool.Dial(ctx, targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	result, err := conn.Exec(ctx, "echo hello; exit 3", os.Stdout, os.Stderr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("exit code", result.ExitCode)
	// Output:
	// hello
	// exit code 3
}

func ExampleConn_Run() {
	targets, end := fleet(nil, "web1")
	defer end()
	ctx := context.Background()
	conn, err := sshpool.Dial(ctx, targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	var out strings.Builder
	_, err = conn.Run(ctx, sshpool.Command{
		Text:   "cat",
		Stdin:  strings.NewReader("sent to the command\n"),
		Stdout: &out,
	})
	fmt.Printf("%q %v\n", out.String(), err)
	// Output:
	// "sent to the command\n" <nil>
}

// An Error says what went wrong in words that are equal for equal causes.
func ExampleError() {
	targets, end := fleet(map[string]lab.Fault{"web1": "hang", "web2": "wrong-key", "web3": "no-status"}, "web1", "web2", "web3")
	defer end()
	ctx := context.Background()
	for _, t := range targets {
		t.Limits.Banner = 200 * time.Millisecond
		conn, err := sshpool.Dial(ctx, t)
		if err == nil {
			_, err = conn.Exec(ctx, "true", nil, nil)
			conn.Close()
		}
		var e *sshpool.Error
		if errors.As(err, &e) {
			fmt.Printf("%s in %s, sent: %v: %s\n", e.Kind, e.Stage, e.Sent, e.Text)
		}
	}
	// Output:
	// timeout in banner, sent: false: timeout in banner after 200ms
	// hostkey_changed in kex, sent: false: host key changed
	// no_status in command, sent: true: channel closed without an exit status
}

// A Pool shares one connection a host among all who want it.
func ExamplePool() {
	targets, end := fleet(nil, "web1", "web2", "web3")
	defer end()
	ctx := context.Background()
	pool := sshpool.NewPool(sshpool.PoolConfig{})
	defer pool.Close()

	names := make([]string, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() {
			conn, release, err := pool.Get(ctx, t)
			if err != nil {
				log.Print(err)
				return
			}
			defer release()
			var out strings.Builder
			if _, err := conn.Exec(ctx, "hostname", &out, nil); err != nil {
				log.Print(err)
			}
			names[i] = strings.TrimSpace(out.String())
		})
	}
	wg.Wait()
	fmt.Println(names)
	// Output:
	// [web1 web2 web3]
}
