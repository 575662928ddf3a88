package sshpool

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"
)

// Defaults of a Target's zero fields.
const (
	DefaultPort              = 22
	DefaultTotal             = 10 * time.Second
	DefaultDNS               = 5 * time.Second
	DefaultKeepaliveInterval = 15 * time.Second
	DefaultKeepaliveCount    = 3
)

// Target is one host to connect to and how. A Target is a plain value; Dial
// and Pool do not change it.
type Target struct {
	Address string // name or IP address; required
	Port    int    // 0 means 22
	User    string // required
	// Auth says how to log in; required, and shared between targets so that
	// keys are read and passphrases asked once.
	Auth *Auth
	// HostKeys checks the host's key; required. A nil checker is an error and
	// never means "accept". A Pool compares checkers to tell connections apart,
	// so that its type must be comparable; a pointer is. Others it refuses.
	HostKeys HostKeyChecker
	// KnownAs is the name under which HostKeys is asked, whatever the port, as
	// HostKeyAlias of ssh_config(5) is; "name:port" asks for a port too. Empty
	// means Address and Port.
	KnownAs string
	// Limits bound each stage; its zero fields mean the defaults.
	Limits Limits
	// KeepaliveInterval and KeepaliveCount find a dead peer: after an interval
	// of silence a request is sent that the peer must answer, and after
	// interval × count of silence the connection is closed. Zero means the
	// defaults, 15 s × 3; a negative value turns keepalive off.
	KeepaliveInterval time.Duration
	KeepaliveCount    int
	// Algorithms replaces single lists of what is offered; see there.
	Algorithms Algorithms
	// Family limits addresses to "inet" or "inet6"; empty means both.
	Family string
	// BindAddress is the own address to connect from; empty leaves it to the system.
	BindAddress string
	// Attempts bounds how often a Pool tries to connect; 0 means the pool's
	// MaxAttempts. Where more than one is asked for here, a connection that is
	// refused is tried again too, a second later (ssh_config(5), ConnectionAttempts).
	Attempts int
	// OfferEnv is offered to the host for each command of a Poller, as KEY=VALUE;
	// see Command.
	OfferEnv []string
	// Resolver looks names up; nil means the pool's, else net.DefaultResolver.
	Resolver Resolver
	// Name is how texts name this target where it is a jump host of others;
	// empty means Address.
	Name string
	// Jump lists the hosts through which this one is reached, the first being
	// the nearest to us. Each logs in by its own User, Auth, HostKeys and Limits,
	// and the last one looks Address up. Only the first may itself have Jump,
	// ProxyCommand or DialContext. A Pool shares one connection to each among
	// all targets behind it; Dial makes its own and closes them with the Conn.
	Jump []Target
	// ProxyCommand, where set, is run by $SHELL, or /bin/sh, and its stdin and
	// stdout are the transport (ssh_config(5)); tokens have been expanded.
	ProxyCommand string
	// DialContext, where set, makes the transport by other means. It gets "tcp"
	// and "address:port", the name not looked up. At most one of Jump,
	// ProxyCommand and DialContext may be set.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Log gets details of one connection at level debug; nil means none.
	Log *slog.Logger

	hops    lessor   // who gives connections to jump hosts; nil: they are dialled for this target
	logins  *breaker // says whether logins may be tried; nil: always
	carries bool     // it is a jump host: no command will be run on it
	pace    string   // what handshakes are paced by, where that is not the address
}

// Limits bound the stages of a connection. A zero field means the default, a
// negative one no limit of its own. Total runs from the first TCP packet to
// the end of login, over all attempts; each stage within is also bounded by
// what remains of it.
type Limits struct {
	DNS     time.Duration // name lookup; default 5 s
	TCP     time.Duration // TCP handshake; default: what remains of Total
	Banner  time.Duration // the peer's version line; likewise
	Kex     time.Duration // key exchange and host key; likewise
	Auth    time.Duration // login, without the time people take to answer; likewise
	Channel time.Duration // opening a channel, and the reply to a request on it; default: as Total
	Total   time.Duration // tcp to auth; default 10 s
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	def(&l.Total, DefaultTotal)
	def(&l.DNS, DefaultDNS)
	def(&l.Channel, l.Total)
	return l
}

// HostKeyChecker decides about host keys. addr is "name:port" as asked for,
// with brackets around an IPv6 address.
type HostKeyChecker interface {
	// Algorithms gives the host key algorithms to offer, best first, so that a
	// host is asked for the key that is known. Nil means the default order.
	Algorithms(addr string) []string
	// Check returns nil to accept key. It is called once a connection, before
	// any secret is sent. An error that has a method HostKeyReason, giving
	// "unknown", "changed", "revoked" or "cert", sets the Kind of the
	// connection's error.
	Check(addr string, remote net.Addr, key ssh.PublicKey) error
}

// Resolver looks up the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Algorithms are lists of algorithm names, best first, in the names of
// golang.org/x/crypto/ssh. An empty list means the default: what
// ssh.SupportedAlgorithms gives, without SHA-1 and DSA.
type Algorithms struct {
	KeyExchanges, Ciphers, MACs, HostKeys []string
}

// addr is the address as dialled: "name:port".
func (t *Target) addr() string {
	return net.JoinHostPort(t.Address, strconv.Itoa(t.port()))
}

// knownAs is the address under which the host key is looked up.
func (t *Target) knownAs() string {
	if t.KnownAs == "" {
		return t.addr()
	}
	if _, _, err := net.SplitHostPort(t.KnownAs); err == nil {
		return t.KnownAs
	}
	return net.JoinHostPort(t.KnownAs, strconv.Itoa(DefaultPort)) // which means no port
}

func (t *Target) port() int {
	if t.Port == 0 {
		return DefaultPort
	}
	return t.Port
}

// check refuses a target that no connection could be made from.
func (t *Target) check() error {
	var text string
	switch {
	case t.Address == "":
		text = "target has no address"
	case t.Port < 0 || t.Port > 65535:
		text = "port " + strconv.Itoa(t.Port) + " out of range"
	case t.Family != "" && t.Family != "inet" && t.Family != "inet6":
		text = "unknown address family " + strconv.Quote(t.Family)
	case t.BindAddress != "" && net.ParseIP(t.BindAddress) == nil:
		text = "own address is no IP address"
	case t.User == "":
		text = "target has no user"
	case t.Auth == nil:
		text = "target has no way to log in"
	case t.HostKeys == nil:
		text = "target has no host key checker"
	default:
		text = t.checkWay()
	}
	if text == "" {
		return nil
	}
	return &Error{Op: opDial, Kind: KindInternal, Text: text}
}

// checkWay tells what is wrong with how t is reached.
func (t *Target) checkWay() string {
	ways := 0
	for _, set := range []bool{len(t.Jump) > 0, t.ProxyCommand != "", t.DialContext != nil} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return "target has more than one of jump hosts, proxy command and dial function"
	}
	for i := range t.Jump {
		hop := &t.Jump[i]
		if i > 0 && (len(hop.Jump) > 0 || hop.ProxyCommand != "" || hop.DialContext != nil) {
			return "jump host " + hop.name() + ": reached both by itself and through another"
		}
		var e *Error
		if errors.As(hop.check(), &e) {
			return "jump host " + hop.name() + ": " + e.Text
		}
	}
	return ""
}
