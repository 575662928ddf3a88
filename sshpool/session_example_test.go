package sshpool_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"fleet/internal/lab"
	"fleet/sshpool"
)

// A subsystem is a stream; here the first message of SFTP goes over it. A client
// of SFTP takes it whole, as NewClientPipe of github.com/pkg/sftp does.
func ExampleConn_Subsystem() {
	conn, end := connect("")
	defer end()
	stream, err := conn.Subsystem(context.Background(), "sftp")
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	stream.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3})
	answer := make([]byte, 9)
	_, err = io.ReadFull(stream, answer)
	fmt.Println("version", answer[8], err)
	// Output:
	// version 3 <nil>
}

// A global request that the host does not know is refused.
func ExampleConn_Request() {
	conn, end := connect("")
	defer end()
	granted, _, err := conn.Request(context.Background(), "nonsense@example.com", nil)
	fmt.Println(granted, err)
	// Output:
	// false <nil>
}

// Output and errors go to one writer.
func ExampleCommand_together() {
	conn, end := connect("")
	defer end()
	var both strings.Builder
	_, err := conn.Run(context.Background(), sshpool.Command{
		Text: "echo to the one; nosuch", Stdout: &both, Stderr: &both})
	fmt.Println(strings.Contains(both.String(), "to the one\n"), strings.Contains(both.String(), "nosuch: not found\n"), err)
	// Output:
	// true true <nil>
}

// Variables are set before the command runs.
func ExampleCommand_env() {
	conn, end := connect("")
	defer end()
	var out strings.Builder
	_, err := conn.Run(context.Background(), sshpool.Command{
		Text: "echo $COLOR", Env: []string{"COLOR=blue"}, Stdout: &out})
	fmt.Printf("%q %v\n", out.String(), err)
	// Output:
	// "blue\n" <nil>
}

// A command is told to end, and its end waited for.
func ExampleSession_Signal() {
	conn, end := connect("")
	defer end()
	session, err := conn.Start(context.Background(), sshpool.Command{Text: "sleep 60"})
	if err != nil {
		log.Fatal(err)
	}
	session.Signal("TERM")
	result, err := session.Wait()
	fmt.Println("signal", result.Signal, err)
	// Output:
	// signal TERM <nil>
}

// Done tells, without waiting, whether a command has ended.
func ExampleSession_Done() {
	conn, end := connect("")
	defer end()
	session, err := conn.Start(context.Background(), sshpool.Command{Text: "sleep 60"})
	if err != nil {
		log.Fatal(err)
	}
	select {
	case <-session.Done():
		fmt.Println("ended")
	default:
		fmt.Println("runs")
	}
	session.Signal("KILL")
	<-session.Done()
	fmt.Println("ended")
	// Output:
	// runs
	// ended
}

// Facts tell what the host said at the login, and how the login was made.
func ExampleConn_Facts() {
	conn, end := connect("big-banner=20")
	defer end()
	facts := conn.Facts()
	fmt.Printf("%q\n", facts.Notice)
	fmt.Println(facts.Methods, len(facts.Keys))
	// Output:
	// "All use is recorded.\r\n"
	// [publickey] 1
}

func ExampleConn_Ping() {
	conn, end := connect("")
	defer end()
	took, err := conn.Ping(context.Background())
	fmt.Println(took > 0, err)
	// Output:
	// true <nil>
}

// connect logs in to a server with the given fault.
func connect(fault lab.Fault) (*sshpool.Conn, func()) {
	targets, end := fleet(map[string]lab.Fault{"web1": fault}, "web1")
	conn, err := sshpool.Dial(context.Background(), targets[0])
	if err != nil {
		log.Fatal(err)
	}
	return conn, func() {
		conn.Close()
		end()
	}
}
