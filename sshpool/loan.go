package sshpool

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// KeyLoan is an agent of this process that commands lend to their host
// (Command.Lend), so that it may log in at other hosts. Unlike an agent that is
// forwarded, it gives nobody the use of a key as such: each LentKey makes one
// signature, for a login as one user, at one host, until a moment. The zero value
// holds no keys. It may be used from many goroutines at once.
type KeyLoan struct {
	mu   sync.Mutex
	keys []*LentKey
}

// LentKey is a key that is good for one login. Its fields are not changed once
// it was lent.
type LentKey struct {
	Signer  ssh.Signer
	User    string        // who may be logged in
	HostKey ssh.PublicKey // of the host at which
	Until   time.Time     // no signature is made after
	// Bound has nothing signed unless the program that asks has proved which host it
	// is connected to (session-bind@openssh.com; ssh of OpenSSH 8.9 and later does),
	// and does not even show the key to others. A key that is accepted in no other
	// place may do without; a proof of another host is refused all the same.
	Bound bool

	used    bool
	refused string
}

// Lend adds a key until takeBack is called.
func (l *KeyLoan) Lend(k *LentKey) (takeBack func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keys = append(l.keys, k)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.keys = slices.DeleteFunc(l.keys, func(other *LentKey) bool { return other == k })
	}
}

// Used says that the key has made its signature.
func (l *KeyLoan) Used(k *LentKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return k.used
}

// Refused is why a signature by the key was refused, or the key not shown; empty
// where that did not happen.
func (l *KeyLoan) Refused(k *LentKey) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return k.refused
}

// Messages of the agent's protocol (draft-ietf-sshm-ssh-agent).
const (
	agentFailure    = 5
	agentSuccess    = 6
	agentList       = 11
	agentListAnswer = 12
	agentSign       = 13
	agentSignAnswer = 14
	agentExtension  = 27

	agentFlagSHA256 = 2
	agentFlagSHA512 = 4
)

// maxAgentMessage bounds what is taken from who asks an agent.
const maxAgentMessage = 256 << 10

// loanTalk is one conversation with a KeyLoan: of one program on the host, for
// one connection of its.
type loanTalk struct {
	loan   *KeyLoan
	bound  bool
	host   []byte // the key of the host that it is bound to
	id     []byte // its session's identifier
	broken bool   // it tried to bind again, or to pass the agent on
}

// serve answers requests until the other side has gone.
func (l *KeyLoan) serve(rw io.ReadWriteCloser) {
	t := &loanTalk{loan: l}
	var size [4]byte
	for {
		if _, err := io.ReadFull(rw, size[:]); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(size[:])
		if n == 0 || n > maxAgentMessage {
			return
		}
		msg := make([]byte, n)
		if _, err := io.ReadFull(rw, msg); err != nil {
			return
		}
		answer := t.answer(msg)
		out := binary.BigEndian.AppendUint32(nil, uint32(len(answer)))
		if _, err := rw.Write(append(out, answer...)); err != nil {
			return
		}
	}
}

func (t *loanTalk) answer(msg []byte) []byte {
	switch msg[0] {
	case agentList:
		return t.list()
	case agentSign:
		if answer := t.sign(msg[1:]); answer != nil {
			return answer
		}
	case agentExtension:
		if t.bind(msg[1:]) {
			return []byte{agentSuccess}
		}
	}
	return []byte{agentFailure}
}

// shown says whether the program may know of a key.
func (t *loanTalk) shown(k *LentKey) bool {
	switch {
	case t.broken:
		k.refused = "its agent was asked to go on to a third host"
	case !t.bound && k.Bound:
		k.refused = "it does not prove to the agent which host it is connected to (ssh of OpenSSH 8.9 does)"
	case t.bound && !bytes.Equal(t.host, plainKey(k.HostKey).Marshal()):
		return false // it is about another key
	default:
		return true
	}
	return false
}

func (t *loanTalk) list() []byte {
	t.loan.mu.Lock()
	defer t.loan.mu.Unlock()
	var keys []byte
	n := uint32(0)
	for _, k := range t.loan.keys {
		if t.shown(k) {
			keys = appendString(appendString(keys, string(k.Signer.PublicKey().Marshal())), "fleet")
			n++
		}
	}
	return append(binary.BigEndian.AppendUint32([]byte{agentListAnswer}, n), keys...)
}

// bind takes the proof of a host (OpenSSH's PROTOCOL.agent, section 1).
func (t *loanTalk) bind(data []byte) bool {
	var m struct {
		Name                        string
		HostKey, Session, Signature []byte
		Forwarding                  bool
	}
	if ssh.Unmarshal(data, &m) != nil || m.Name != "session-bind@openssh.com" {
		return false
	}
	if t.bound || m.Forwarding {
		t.broken = true
		return false
	}
	key, err := ssh.ParsePublicKey(m.HostKey)
	if err != nil {
		return false
	}
	var sig ssh.Signature
	if ssh.Unmarshal(m.Signature, &sig) != nil || plainKey(key).Verify(m.Session, &sig) != nil {
		return false
	}
	t.bound, t.host, t.id = true, plainKey(key).Marshal(), m.Session
	return true
}

// plainKey is a key without the certificate around it.
func plainKey(k ssh.PublicKey) ssh.PublicKey {
	if cert, ok := k.(*ssh.Certificate); ok {
		return cert.Key
	}
	return k
}

// login is what is signed at a login (RFC 4252 section 7; for the other method,
// OpenSSH's PROTOCOL, section 3.1).
type login struct {
	Type                  byte
	User, Service, Method string
	Signed                bool
	Algorithm             string
	Key                   []byte
	Rest                  []byte `ssh:"rest"`
}

var errOtherLogin = errors.New("asked to sign something else than the login it is for")

// sign makes the signature, if it is the one that the key was lent for.
func (t *loanTalk) sign(data []byte) []byte {
	var m struct {
		Key, Data []byte
		Flags     uint32
	}
	if ssh.Unmarshal(data, &m) != nil {
		return nil
	}
	k := t.take(m.Key, m.Data)
	if k == nil {
		return nil
	}
	sig, err := signBy(k.Signer, m.Data, m.Flags)
	if err != nil {
		t.loan.mu.Lock()
		defer t.loan.mu.Unlock()
		k.refused = err.Error()
		return nil
	}
	return appendString([]byte{agentSignAnswer}, string(ssh.Marshal(sig)))
}

// take finds the key that may sign data and uses it up.
func (t *loanTalk) take(blob, data []byte) *LentKey {
	t.loan.mu.Lock()
	defer t.loan.mu.Unlock()
	for _, k := range t.loan.keys {
		if !bytes.Equal(blob, k.Signer.PublicKey().Marshal()) || !t.shown(k) {
			continue
		}
		switch {
		case k.used:
			k.refused = "asked to log in more than once"
		case time.Now().After(k.Until):
			k.refused = "asked to log in too late"
		case t.login(k, data) != nil:
			k.refused = errOtherLogin.Error()
		default:
			k.used = true
			return k
		}
	}
	return nil
}

// login checks that data is signed for the login that k is for.
func (t *loanTalk) login(k *LentKey, data []byte) error {
	var s struct {
		Session []byte
		Rest    []byte `ssh:"rest"`
	}
	var l login
	if ssh.Unmarshal(data, &s) != nil || ssh.Unmarshal(s.Rest, &l) != nil {
		return errOtherLogin
	}
	const request = 50 // SSH_MSG_USERAUTH_REQUEST
	if l.Type != request || l.User != k.User || l.Service != "ssh-connection" || !l.Signed ||
		!bytes.Equal(l.Key, k.Signer.PublicKey().Marshal()) || t.bound && !bytes.Equal(s.Session, t.id) {
		return errOtherLogin
	}
	switch l.Method {
	case "publickey":
		if len(l.Rest) == 0 {
			return nil
		}
	case "publickey-hostbound-v00@openssh.com":
		var h struct{ Key []byte }
		if ssh.Unmarshal(l.Rest, &h) != nil {
			break
		}
		key, err := ssh.ParsePublicKey(h.Key)
		if err == nil && bytes.Equal(plainKey(key).Marshal(), plainKey(k.HostKey).Marshal()) {
			return nil
		}
	}
	return errOtherLogin
}

// signBy signs by the algorithm that flags ask for.
func signBy(s ssh.Signer, data []byte, flags uint32) (*ssh.Signature, error) {
	algo := ""
	switch {
	case flags&agentFlagSHA512 != 0:
		algo = ssh.KeyAlgoRSASHA512
	case flags&agentFlagSHA256 != 0:
		algo = ssh.KeyAlgoRSASHA256
	}
	if by, ok := s.(ssh.AlgorithmSigner); ok && algo != "" && plainKey(s.PublicKey()).Type() == ssh.KeyAlgoRSA {
		return by.SignWithAlgorithm(rand.Reader, data, algo)
	}
	return s.Sign(rand.Reader, data)
}
