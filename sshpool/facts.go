package sshpool

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Facts are what a dial found out on its way, complete for a Conn and up to
// where it ended for one that did not come about. A stage that was not reached
// has the time 0.
type Facts struct {
	Addresses []netip.AddrPort // what the name means, in the order tried; empty where a hook made the transport
	DNS       time.Duration    // the name lookup, with the wait for its turn
	TCP       time.Duration    // the transport, whatever makes it
	Banner    time.Duration    // until the peer's version line was there
	Kex       time.Duration    // key exchange and the check of the host key
	Auth      time.Duration    // login, without the time that people took to answer
	KnownAs   string           // "name:port" under which the host key was looked up
	// Methods are those that the host took for the login, in order: "publickey",
	// or "publickey" and "password" where it asked for both.
	Methods []string
	// Keys are the keys that the host took, one for each publickey in Methods: type,
	// fingerprint and, in parentheses, where the key is from.
	Keys []string
	// Notice is what the host sent to be shown at the login (RFC 4252 section
	// 5.4), 64 KiB of it at most. It is the peer's text and not made safe to show.
	Notice string
}

// Facts tells how the connection came about.
func (c *Conn) Facts() Facts {
	f := c.facts
	f.Addresses, f.Methods, f.Keys = slices.Clone(f.Addresses), slices.Clone(f.Methods), slices.Clone(f.Keys)
	return f
}

// DialFacts gives what a dial that ended with err had found out by then; false
// if err is of no dial, or of one that never began.
func DialFacts(err error) (Facts, bool) {
	var e *Error
	if !errors.As(err, &e) || e.facts == nil {
		return Facts{}, false
	}
	return *e.facts, true
}

// lap adds the time since the last lap to the stage that was under way.
func (d *dialer) lap() {
	now := time.Now()
	if !d.lapped.IsZero() {
		took := now.Sub(d.lapped)
		switch d.stage {
		case StageTCP:
			d.facts.TCP += took
		case StageBanner:
			d.facts.Banner += took
		case StageKex:
			d.facts.Kex += took
		case StageAuth:
			d.facts.Auth += took
		}
	}
	d.lapped = now
}

// maxNotice bounds what is kept of a host's notice, in bytes.
const maxNotice = 64 << 10

// notices keeps what the host wants shown at the login; it may come in pieces.
func (d *dialer) notices(text string) error {
	d.facts.Notice += text[:min(len(text), maxNotice-len(d.facts.Notice))]
	return nil
}

// tries notes the method that is about to be used for the login.
func (d *dialer) tries(method string) { d.trying = method }

// offers notes the key that is shown to the host.
func (d *dialer) offers(key string) { d.offering = key }

// passes notes that the host has taken the method, and with it the key that was
// offered last.
func (d *dialer) passes(method string) {
	d.facts.Methods = append(d.facts.Methods, method)
	if method == "publickey" {
		d.facts.Keys = append(d.facts.Keys, d.offering)
	}
}

// found gives the facts of a dial that has ended, well or not.
func (d *dialer) found(loggedIn bool) Facts {
	d.lap()
	if loggedIn && d.trying != "" {
		d.passes(d.trying)
	}
	return d.facts
}

// with gives err, of a dial, with what it had found out. The error itself may be
// one that other dials share, as of a jump host, and stays as it is.
func (f Facts) with(err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	own := *e
	own.facts = &f
	return &own
}
