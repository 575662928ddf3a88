package sshpool

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// login runs the SSH side of a dial over d.wire.
func (d *dialer) login() (c *Conn, failed error) {
	d.enter(StageBanner, d.t.Limits.Banner)
	if err := d.wire.readVersion(); err != nil {
		return nil, d.bannerError(err)
	}
	d.enter(StageKex, d.t.Limits.Kex)
	var key ssh.PublicKey
	var keyErr error
	cfg := &ssh.ClientConfig{
		User:              d.t.User,
		ClientVersion:     clientVersion,
		HostKeyAlgorithms: d.hostKeyAlgorithms(),
		AuthCallback:      d.nextMethod,
		BannerCallback:    d.notices,
		HostKeyCallback: func(_ string, remote net.Addr, k ssh.PublicKey) error {
			if key != nil { // keys are exchanged again, long after the login
				return sameKey(key, k)
			}
			key = k
			if keyErr = d.checkKey(remote, k); keyErr == nil {
				d.enter(StageAuth, d.t.Limits.Auth)
			}
			return keyErr
		},
	}
	cfg.Config = d.t.Algorithms.config()
	failed = &Error{Kind: KindInternal} // where a prompt panics
	defer func() { d.settle(failed) }()
	sc, chans, reqs, err := ssh.NewClientConn(d.wire, d.t.addr(), cfg)
	switch {
	case keyErr != nil:
		return nil, hostKeyError(keyErr)
	case err != nil:
		return nil, d.handshakeError(err)
	}
	d.wire.SetDeadline(noDeadline)
	return newConn(d, sc, key, chans, reqs), nil
}

// errOtherKey ends a connection whose host shows another key than at first.
var errOtherKey = errors.New("host key changed within the connection")

func sameKey(first, now ssh.PublicKey) error {
	if !bytes.Equal(first.Marshal(), now.Marshal()) {
		return errOtherKey
	}
	return nil
}

// checkKey asks the checker. It runs on a goroutine of the library, where a
// panic would end the program.
func (d *dialer) checkKey(remote net.Addr, k ssh.PublicKey) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(opDial, d.stage, v)
		}
	}()
	if err = d.t.HostKeys.Check(d.t.knownAs(), remote, k); err == errScanned {
		d.wire.farewell(errScanned.Error())
	}
	return err
}

// bannerError types what went wrong before the version line.
func (d *dialer) bannerError(err error) error {
	var typed *Error
	if errors.As(err, &typed) {
		return typed
	}
	e := d.fail(err)
	if e.Kind == KindConnLost { // nothing had been said: as good as refused
		// Whether it shows as closed or as reset is a matter of luck.
		e.Kind, e.Text = KindRefused, "connection dropped before the version line"
	}
	return e
}

// handshakeError types an error of ssh.NewClientConn.
func (d *dialer) handshakeError(err error) *Error {
	if d.ctx.Err() != nil {
		return canceledError(d.ctx, opDial, d.stage)
	}
	var typed *Error
	var algo *ssh.AlgorithmNegotiationError
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.As(err, &algo):
		return &Error{Op: opDial, Kind: KindKexMismatch, Stage: StageKex, Err: err,
			Text: "no common algorithm for " + algo.What + ": we offer " +
				strings.Join(algo.SupportedAlgorithms, ",") + "; the host offers " +
				excerpt([]byte(strings.Join(algo.RequestedAlgorithms, ",")))}
	}
	if below := d.wire.failure(); below != nil && !isDisconnect(err) {
		return d.fail(below)
	}
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "ssh: handshake failed: "), "ssh: ")
	e := &Error{Op: opDial, Kind: KindProtocol, Stage: d.stage, Err: err, Text: excerpt([]byte(text))}
	if strings.HasPrefix(text, "too many authentication attempts") {
		e.Kind, e.Text = KindAuth, "login refused: the host asks without end"
	}
	if isDisconnect(err) {
		e.Text = "disconnected by the host in " + string(d.stage) + ": " + e.Text
		if d.stage == StageAuth {
			e.Kind = KindAuth
			e.Text += d.auth.tried()
		}
	}
	return e
}

// isDisconnect tells whether the peer ended the connection with a message of
// its own (RFC 4253 section 11.1); the library has no exported type for it.
func isDisconnect(err error) bool {
	return strings.Contains(err.Error(), "ssh: disconnect, reason ")
}

// hostKeyError types the refusal of a HostKeyChecker. Its text is the error's
// Text, where it has that method, as its Error may name the host.
func hostKeyError(err error) *Error {
	e := &Error{Op: opDial, Kind: KindHostKeyUnknown, Stage: StageKex, Err: err}
	var typed *Error
	if errors.As(err, &typed) {
		return typed
	}
	var r interface{ HostKeyReason() string }
	if !errors.As(err, &r) {
		e.Text = "host key refused: " + excerpt([]byte(err.Error()))
		return e
	}
	switch reason := r.HostKeyReason(); reason {
	case "changed":
		e.Kind, e.Text = KindHostKeyChanged, "host key changed"
	case "revoked":
		e.Kind, e.Text = KindHostKeyRevoked, "host key revoked"
	case "cert":
		e.Text = "host certificate not valid"
	default:
		e.Text = "host key unknown"
	}
	if own, ok := r.(interface{ Text() string }); ok {
		e.Text = own.Text()
	}
	return e
}

// safeAlgorithms is the default of Algorithms; it is not changed.
var safeAlgorithms = sync.OnceValue(func() ssh.Algorithms {
	safe := ssh.SupportedAlgorithms()
	safe.Ciphers = preferAES(safe.Ciphers)
	safe.MACs = withoutSHA1(safe.MACs)
	return safe
})

// config is the part of the library's configuration that names algorithms.
func (a *Algorithms) config() ssh.Config {
	safe := safeAlgorithms()
	pick := func(own, def []string) []string {
		if len(own) > 0 {
			return own
		}
		return def
	}
	return ssh.Config{
		KeyExchanges: pick(a.KeyExchanges, safe.KeyExchanges),
		Ciphers:      pick(a.Ciphers, safe.Ciphers),
		MACs:         pick(a.MACs, safe.MACs),
	}
}

// withoutSHA1 drops the MAC over SHA-1, which the library still counts as safe.
func withoutSHA1(macs []string) []string {
	return slices.DeleteFunc(macs, func(m string) bool { return m == ssh.HMACSHA1 })
}

// hostKeyAlgorithms is what to ask the host for: the known keys' algorithms
// first, else the safe ones with Ed25519 before the others. Of algorithms that
// the target names, those of known keys go first too.
func (d *dialer) hostKeyAlgorithms() []string {
	known := d.t.HostKeys.Algorithms(d.t.knownAs())
	if own := d.t.Algorithms.HostKeys; len(own) > 0 {
		return orderBy(own, known)
	}
	if len(known) > 0 {
		return known
	}
	algos := ssh.SupportedAlgorithms().HostKeys
	rankHostKeys(algos)
	return algos
}

// orderBy puts names that stand in order first, as they stand there.
func orderBy(names, order []string) []string {
	place := func(name string) int {
		if i := slices.Index(order, name); i >= 0 {
			return i
		}
		return len(order)
	}
	out := slices.Clone(names)
	slices.SortStableFunc(out, func(a, b string) int { return place(a) - place(b) })
	return out
}

// rankHostKeys puts Ed25519 first and certificates last.
func rankHostKeys(algos []string) {
	rank := func(a string) int {
		switch a {
		case ssh.KeyAlgoED25519:
			return 0
		case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
			return 1
		}
		if strings.Contains(a, "-cert-v01@") {
			return 3 // of no use unless the checker names them
		}
		return 2
	}
	slices.SortStableFunc(algos, func(a, b string) int { return rank(a) - rank(b) })
}
