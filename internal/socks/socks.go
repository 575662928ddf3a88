// Package socks is a SOCKS5 server (RFC 1928) for the connections of local
// programs: CONNECT by IPv4, IPv6 or name, without authentication. Names are
// not looked up here but handed on, so that the far end of a tunnel does it.
//
// [Handshake] speaks the protocol on one connection up to the reply; whoever
// accepts the connection carries the bytes after it.
package socks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"
)

// Limit bounds how long a client may take to say what it wants.
const Limit = 10 * time.Second

// Dial makes the connection that a client asks for; network is "tcp", addr is
// "host:port" with the host as the client wrote it.
type Dial func(ctx context.Context, network, addr string) (net.Conn, error)

// Reply is what the server answers to a request (RFC 1928 section 6).
type Reply byte

// The replies.
const (
	Succeeded          Reply = 0
	GeneralFailure     Reply = 1
	NotAllowed         Reply = 2
	NetworkUnreachable Reply = 3
	HostUnreachable    Reply = 4
	ConnectionRefused  Reply = 5
	TTLExpired         Reply = 6
	NoSuchCommand      Reply = 7
	NoSuchAddressType  Reply = 8
)

// ReplyError is an error that knows which reply a client gets for it. What
// fails without one is a general failure.
type ReplyError struct {
	Reply Reply
	Err   error
}

func (e *ReplyError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *ReplyError) Unwrap() error { return e.Err }

// ErrNotSOCKS5 is the cause where a client speaks another protocol.
var ErrNotSOCKS5 = errors.New("client does not speak SOCKS5")

const (
	version      = 5
	noAuth       = 0
	noneFits     = 0xff
	cmdConnect   = 1
	typeIPv4     = 1
	typeName     = 3
	typeIPv6     = 4
	maxHandshake = 1 + 1 + 255 // the longest part: version, number of methods, methods
)

// Handshake reads what the client on c wants, has dial connect to it, and
// answers. It gives the connection that dial made and the address asked for;
// both are the caller's to close, also c, in any case. The client has Limit to
// make its request; dialling has ctx. A refused dial is answered before the
// error is returned.
func Handshake(ctx context.Context, c net.Conn, dial Dial) (to net.Conn, addr string, err error) {
	c.SetDeadline(time.Now().Add(Limit))
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	addr, err = request(c)
	if err != nil {
		return nil, "", err
	}
	c.SetDeadline(time.Time{})
	if err := ctx.Err(); err != nil { // the deadline of its end is overwritten
		return nil, addr, err
	}
	to, err = dial(ctx, "tcp", addr)
	if err != nil {
		code := GeneralFailure
		var e *ReplyError
		if errors.As(err, &e) {
			code = e.Reply
		}
		c.SetWriteDeadline(time.Now().Add(Limit))
		answer(c, code, netip.AddrPort{})
		return nil, addr, err
	}
	c.SetWriteDeadline(time.Now().Add(Limit))
	if err := answer(c, Succeeded, localOf(to)); err != nil {
		to.Close()
		return nil, addr, fmt.Errorf("answer client: %w", err)
	}
	c.SetWriteDeadline(time.Time{})
	return to, addr, nil
}

// request reads the client's greeting and request, and refuses what is not
// served.
func request(c net.Conn) (addr string, err error) {
	buf := make([]byte, maxHandshake)
	if _, err := io.ReadFull(c, buf[:2]); err != nil {
		return "", fmt.Errorf("read greeting: %w", unexpected(err))
	}
	if buf[0] != version {
		return "", ErrNotSOCKS5
	}
	methods := buf[2 : 2+int(buf[1])]
	if _, err := io.ReadFull(c, methods); err != nil {
		return "", fmt.Errorf("read greeting: %w", unexpected(err))
	}
	method := byte(noneFits)
	for _, m := range methods {
		if m == noAuth {
			method = noAuth
		}
	}
	if _, err := c.Write([]byte{version, method}); err != nil {
		return "", fmt.Errorf("answer client: %w", err)
	}
	if method == noneFits {
		return "", errors.New("client wants to authenticate, which is not offered")
	}
	addr, err = destination(c, buf)
	var refused *ReplyError
	if errors.As(err, &refused) {
		answer(c, refused.Reply, netip.AddrPort{})
	}
	return addr, err
}

// destination reads the request (RFC 1928 sections 4 and 5).
func destination(c io.Reader, buf []byte) (string, error) {
	read := func(n int) ([]byte, error) {
		if _, err := io.ReadFull(c, buf[:n]); err != nil {
			return nil, fmt.Errorf("read request: %w", unexpected(err))
		}
		return buf[:n], nil
	}
	head, err := read(4)
	if err != nil {
		return "", err
	}
	command, kind := head[1], head[3]
	if head[0] != version {
		return "", ErrNotSOCKS5
	}
	var host string
	switch kind {
	case typeIPv4, typeIPv6:
		b, err := read(map[byte]int{typeIPv4: 4, typeIPv6: 16}[kind])
		if err != nil {
			return "", err
		}
		ip, _ := netip.AddrFromSlice(b)
		host = ip.String()
	case typeName:
		b, err := read(1)
		if err != nil {
			return "", err
		}
		if b, err = read(int(b[0])); err != nil {
			return "", err
		}
		host = string(b)
	default:
		return "", &ReplyError{NoSuchAddressType, fmt.Errorf("unknown address type %d", kind)}
	}
	b, err := read(2)
	if err != nil {
		return "", err
	}
	switch {
	case command != cmdConnect:
		return "", &ReplyError{NoSuchCommand, fmt.Errorf("command %d is not served", command)}
	case !plausible(host):
		return "", &ReplyError{GeneralFailure, fmt.Errorf("unusable name %q", host)}
	}
	return net.JoinHostPort(host, strconv.Itoa(int(binary.BigEndian.Uint16(b)))), nil
}

// plausible tells whether a name may be one: printable, without spaces, not empty.
func plausible(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return name != ""
}

// unexpected is err, where the end of the input is one too early.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// answer sends a reply with the address that the connection was made from.
func answer(c io.Writer, code Reply, from netip.AddrPort) error {
	ip := from.Addr().Unmap()
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	kind := byte(typeIPv4)
	if ip.Is6() {
		kind = typeIPv6
	}
	b := append([]byte{version, byte(code), 0, kind}, ip.AsSlice()...)
	_, err := c.Write(binary.BigEndian.AppendUint16(b, from.Port()))
	return err
}

// localOf is the address of our end of c, where it is one of IP.
func localOf(c net.Conn) netip.AddrPort {
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok && a != nil {
		return a.AddrPort()
	}
	return netip.AddrPort{}
}
