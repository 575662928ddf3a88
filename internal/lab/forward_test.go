package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// TestForward reaches hosts of a lab through one of them, and nothing else.
func TestForward(t *testing.T) {
	l := start(t, Config{Names: []string{"bastion", "web", "down"}, Faults: map[string]Fault{"down": "refuse"}})
	c := dial(t, l, l.Host("bastion"))
	for _, host := range []string{"web", l.Host("web").Address} {
		conn, err := c.Dial("tcp", fmt.Sprintf("%s:%d", host, l.Port()))
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, "SSH-2.0-") {
			t.Errorf("%s says %q, %v", host, line, err)
		}
		conn.Close()
	}
	if n := l.Host("bastion").Stats().Forwarded; n != 2 {
		t.Errorf("%d connections were forwarded", n)
	}
	for addr, want := range map[string]string{
		fmt.Sprint("down:", l.Port()):      "Connection refused",
		fmt.Sprint("nowhere:", l.Port()):   "Name or service not known",
		"127.0.0.1:1":                      "Network is unreachable",
		fmt.Sprint("192.0.2.1:", l.Port()): "Network is unreachable",
	} {
		if _, err := c.Dial("tcp", addr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
}

// TestListen has a host of a lab listen for its client, and stop to.
func TestListen(t *testing.T) {
	l := start(t, Config{Names: []string{"web", "closed"}, Faults: map[string]Fault{"closed": "no-forward"}})
	ln, err := dial(t, l, l.Host("web")).Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	addr := net.JoinHostPort(l.Host("web").Address, port)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	served, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(served, "hello")
	served.Close()
	if text, err := io.ReadAll(c); string(text) != "hello\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	c.Close()
	if err := ln.Close(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("it listens after the end")
	}
	if _, err := dial(t, l, l.Host("closed")).Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Error("a host that forwards nothing listens")
	}
}
