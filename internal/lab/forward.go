package lab

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// forward answers a direct-tcpip channel (RFC 4254 section 7.2): a host of the
// lab connects to other hosts of the lab, by name or address, and to nothing
// else. Its refusals have the words of sshd.
func (w *wire) forward(nc ssh.NewChannel) {
	var m struct {
		Host       string
		Port       uint32
		Originator string
		OrigPort   uint32
	}
	if w.host.behavior.noForward || ssh.Unmarshal(nc.ExtraData(), &m) != nil {
		nc.Reject(ssh.Prohibited, "open failed")
		return
	}
	to, reason := w.host.lab.reach(m.Host, m.Port)
	if reason != "" {
		nc.Reject(ssh.ConnectionFailed, reason)
		return
	}
	w.host.lab.running.Add(1)
	go func() {
		defer w.host.lab.running.Done()
		w.carry(nc, to)
	}()
}

// reach gives the address of a host of the lab, or why there is none.
func (l *Lab) reach(host string, port uint32) (addr, failure string) {
	if h := l.byName[host]; h != nil {
		host = h.Address
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "", "Name or service not known"
	case !ip.IsLoopback() || port != uint32(l.port):
		return "", "Network is unreachable"
	}
	return net.JoinHostPort(host, strconv.Itoa(l.port)), ""
}

// carry connects to addr and copies both ways until both have ended.
func (w *wire) carry(nc ssh.NewChannel, addr string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		reason := "Connection timed out"
		if strings.Contains(err.Error(), "refused") {
			reason = "Connection refused"
		}
		nc.Reject(ssh.ConnectionFailed, reason)
		return
	}
	defer c.Close()
	ch, reqs, err := nc.Accept()
	if err != nil {
		return
	}
	w.host.forwarded.Add(1)
	w.join(ch, reqs, c)
}

// join copies both ways between a channel and a connection until both have
// ended. It closes the channel.
func (w *wire) join(ch ssh.Channel, reqs <-chan *ssh.Request, c net.Conn) {
	defer ch.Close()
	go ssh.DiscardRequests(reqs)
	back := make(chan struct{})
	go func() {
		defer close(back)
		io.Copy(ch, c)
		ch.CloseWrite()
	}()
	io.Copy(c, ch)
	c.(*net.TCPConn).CloseWrite()
	select {
	case <-back:
	case <-w.gone:
	case <-w.host.lab.done:
	}
}
