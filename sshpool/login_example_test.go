package sshpool_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"fleet/sshpool"
)

// Keys may come from anywhere; here one is made, which the host does not know.
func ExampleAuth_signers() {
	targets, end := fleet(nil, "web1")
	defer end()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		log.Fatal(err)
	}
	auth := &sshpool.Auth{Signers: []ssh.Signer{signer}}
	defer auth.Close()
	targets[0].Auth = auth

	_, err = sshpool.Dial(context.Background(), targets[0])
	var e *sshpool.Error
	fmt.Println(errors.As(err, &e) && e.Kind == sshpool.KindAuth)
	// Output:
	// true
}

// The agent lists its keys.
func ExampleAgentKeys() {
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "socket") // in real life: $SSH_AUTH_SOCK
	defer serveAgent(socket)()

	keys, err := sshpool.AgentKeys(context.Background(), socket)
	if err != nil {
		log.Fatal(err)
	}
	for _, k := range keys {
		fmt.Println(k.Type(), k.Comment, strings.HasPrefix(ssh.FingerprintSHA256(k), "SHA256:"))
	}
	// Output:
	// ssh-ed25519 me@here true
}

// serveAgent has an agent with one key listen at socket for one client.
func serveAgent(socket string) (end func()) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private, Comment: "me@here"}); err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if conn, err := ln.Accept(); err == nil {
			agent.ServeAgent(ring, conn)
			conn.Close()
		}
	}()
	return func() {
		ln.Close()
		<-served
	}
}

// warner accepts every host key and tells of it, which is not safe.
type warner struct{}

func (warner) Algorithms(addr string) []string { return nil }

func (warner) Check(addr string, _ net.Addr, key ssh.PublicKey) error {
	fmt.Println("not checked:", key.Type())
	return nil
}

// A checker of one's own decides about host keys.
func ExampleHostKeyChecker() {
	targets, end := fleet(nil, "web1")
	defer end()
	targets[0].HostKeys = warner{}
	conn, err := sshpool.Dial(context.Background(), targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println("logged in as", conn.User())
	// Output:
	// not checked: ssh-ed25519
	// logged in as me
}

// ScanKey asks a host for its key without logging in.
func ExampleScanKey() {
	targets, end := fleet(nil, "web1")
	defer end()
	key, err := sshpool.ScanKey(context.Background(), targets[0])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Type())
	// Output:
	// ssh-ed25519
}

// What is offered can be narrowed down; Algorithms tells what was agreed on.
func ExampleTarget_algorithms() {
	targets, end := fleet(nil, "web1")
	defer end()
	targets[0].Algorithms = sshpool.Algorithms{
		KeyExchanges: []string{ssh.KeyExchangeCurve25519},
		Ciphers:      []string{ssh.CipherAES256GCM},
	}
	conn, err := sshpool.Dial(context.Background(), targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	agreed := conn.Algorithms()
	fmt.Println(agreed.KeyExchange, agreed.Write.Cipher)
	// Output:
	// curve25519-sha256 aes256-gcm@openssh.com
}

// The transport can be any net.Conn.
func ExampleTarget_dialContext() {
	targets, end := fleet(nil, "web1")
	defer end()
	targets[0].DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		fmt.Println("my own", network)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	conn, err := sshpool.Dial(context.Background(), targets[0])
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println(strings.HasPrefix(conn.ServerVersion(), "SSH-2.0-"))
	// Output:
	// my own tcp
	// true
}

// A proxy command that ends by itself is named as the cause.
func ExampleTarget_proxyCommand() {
	targets, end := fleet(nil, "web1")
	defer end()
	targets[0].ProxyCommand = "false"
	_, err := sshpool.Dial(context.Background(), targets[0])
	fmt.Println(err)
	// Output:
	// dial: proxy command ended: exit status 1
}
