package lab

import (
	"bufio"
	"fmt"
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
