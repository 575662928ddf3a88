package sshpool_test

import (
	"bufio"
	"context"
	"fmt"
	"log"

	"fleet/sshpool"
)

// A Shell is typed to and read from.
func ExampleConn_Shell() {
	targets, end := fleet(nil, "web1")
	defer end()
	ctx := context.Background()
	conn, err := sshpool.Dial(ctx, targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	shell, err := conn.Shell(ctx, sshpool.ShellOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer shell.Close()
	lines := bufio.NewScanner(shell)
	for _, command := range []string{"hostname", "echo done"} {
		fmt.Fprintln(shell, command)
		if lines.Scan() {
			fmt.Println(lines.Text())
		}
	}
	fmt.Fprintln(shell, "exit 3")
	result, err := shell.Wait()
	fmt.Println("exit code", result.ExitCode, err)
	// Output:
	// web1
	// done
	// exit code 3 <nil>
}

// Start runs a command on a terminal that can be resized while it runs.
func ExampleConn_Start() {
	targets, end := fleet(nil, "web1")
	defer end()
	ctx := context.Background()
	conn, err := sshpool.Dial(ctx, targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	session, err := conn.Start(ctx, sshpool.Command{
		Text: "sleep 0.1; exit 4",
		PTY:  &sshpool.PTY{Term: "xterm", Columns: 80, Rows: 24},
	})
	if err != nil {
		log.Fatal(err)
	}
	session.Resize(120, 40)
	result, err := session.Wait()
	fmt.Println("exit code", result.ExitCode, err)
	// Output:
	// exit code 4 <nil>
}
