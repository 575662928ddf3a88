package lab

import (
	"net"
	"strconv"

	"golang.org/x/crypto/ssh"
)

// listeners are what one connection has its host listen on (RFC 4254 section
// 7.1), by the address and port that the client asked for. They belong to the
// goroutine that answers the connection's requests.
type listeners map[string]net.Listener

type forwardRequest struct {
	Address string
	Port    uint32
}

// global answers a global request.
func (w *wire) global(conn ssh.Conn, open listeners, r *ssh.Request) {
	var ok bool
	var answer []byte
	switch r.Type {
	case "tcpip-forward":
		answer, ok = w.listen(conn, open, r.Payload)
	case "cancel-tcpip-forward":
		var m forwardRequest
		if ssh.Unmarshal(r.Payload, &m) == nil {
			ok = open.close(m.Address, m.Port)
		}
	}
	if r.WantReply {
		r.Reply(ok, answer)
	}
}

// listen has the host listen, on its own loopback address whatever the client
// asks for: as with sshd's GatewayPorts no, nobody else is served.
func (w *wire) listen(conn ssh.Conn, open listeners, payload []byte) (answer []byte, ok bool) {
	var m forwardRequest
	if w.host.behavior.noForward || ssh.Unmarshal(payload, &m) != nil || m.Port > 65535 {
		return nil, false
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(w.host.Address, strconv.Itoa(int(m.Port))))
	if err != nil {
		return nil, false
	}
	port := uint32(ln.Addr().(*net.TCPAddr).Port)
	if m.Port == 0 {
		answer = ssh.Marshal(struct{ Port uint32 }{port})
	}
	open[net.JoinHostPort(m.Address, strconv.Itoa(int(port)))] = ln
	w.host.lab.running.Add(1)
	go func() {
		defer w.host.lab.running.Done()
		w.passOn(conn, ln, m.Address, port)
	}()
	return answer, true
}

// passOn opens a channel to the client for each connection that comes in.
func (w *wire) passOn(conn ssh.Conn, ln net.Listener, address string, port uint32) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		from := c.RemoteAddr().(*net.TCPAddr)
		w.host.lab.running.Add(1)
		go func() {
			defer w.host.lab.running.Done()
			defer c.Close()
			ch, reqs, err := conn.OpenChannel("forwarded-tcpip", ssh.Marshal(struct {
				Address    string
				Port       uint32
				Originator string
				OrigPort   uint32
			}{address, port, from.IP.String(), uint32(from.Port)}))
			if err == nil {
				w.join(ch, reqs, c)
			}
		}()
	}
}

// close ends one listener; it reports whether there was one.
func (open listeners) close(address string, port uint32) bool {
	name := net.JoinHostPort(address, strconv.Itoa(int(port)))
	ln := open[name]
	if ln == nil {
		return false
	}
	delete(open, name)
	ln.Close()
	return true
}

func (open listeners) closeAll() {
	for _, ln := range open {
		ln.Close()
	}
}
