package sshpool_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strings"

	"fleet/sshpool"
)

// A host connects to others, here to another server of the same fleet.
func ExampleConn_Dial() {
	targets, end := fleet(nil, "bastion", "web1")
	defer end()
	ctx := context.Background()
	conn, err := sshpool.Dial(ctx, targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	stream, err := conn.Dial(ctx, "tcp", fmt.Sprintf("%s:%d", targets[1].Address, targets[1].Port))
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	first := make([]byte, 8)
	_, err = io.ReadFull(stream, first)
	fmt.Printf("%s %v\n", first, err)
	// Output:
	// SSH-2.0- <nil>
}

// A target is reached through one jump host, and another behind that.
func ExampleTarget_jump() {
	targets, end := fleet(nil, "bastion", "inner", "web1")
	defer end()
	ctx := context.Background()
	target := targets[2]
	target.Jump = targets[:2]
	conn, err := sshpool.Dial(ctx, target)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	var out strings.Builder
	_, err = conn.Exec(ctx, "hostname", &out, nil)
	fmt.Printf("%s%v\n", out.String(), err)
	// Output:
	// web1
	// <nil>
}

// What connects to a port of the host is served here.
func ExampleConn_Listen() {
	targets, end := fleet(nil, "web1")
	defer end()
	ctx := context.Background()
	conn, err := sshpool.Dial(ctx, targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	ln, err := conn.Listen(ctx, "tcp", "localhost:0") // port 0: any that is free
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	go func() {
		stream, err := ln.Accept()
		if err != nil {
			return // net.ErrClosed after Close
		}
		defer stream.Close()
		io.WriteString(stream, "hello\n")
	}()

	_, port, _ := net.SplitHostPort(ln.Addr().String())
	client, err := net.Dial("tcp", net.JoinHostPort(targets[0].Address, port)) // somebody on the host
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	text, err := io.ReadAll(client)
	fmt.Printf("%q %v\n", text, err)
	// Output:
	// "hello\n" <nil>
}
