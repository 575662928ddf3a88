package sshpool

import (
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyOrder is the list of keys of one login as it grows.
type keyOrder struct {
	d     *dialer
	agent []*candidate // what the agent holds
	ring  *keyring
	out   []ssh.Signer
	seen  map[string]bool // blobs
}

// signers lists the keys to offer next in a login, best first, each once.
func (d *dialer) signers() ([]ssh.Signer, error) {
	a := d.t.Auth
	ring, err := a.keys(d.ctx)
	if err != nil {
		return nil, err
	}
	inAgent, agentErr := a.agentKeys(d.ctx)
	if agentErr != nil {
		d.auth.note(agentErr.Error())
	}
	for _, n := range ring.notes {
		d.auth.note(n)
	}
	o := &keyOrder{d: d, agent: inAgent, ring: ring, seen: make(map[string]bool)}
	for _, c := range ring.certs {
		o.addCertificate(c)
	}
	for _, k := range ring.named {
		o.addWithCertificate(k)
		if k.agent && !o.held(k) {
			o.missing(k)
		}
	}
	if a.IdentitiesOnly {
		return o.out, nil
	}
	for _, k := range inAgent {
		o.add(k)
	}
	for _, k := range ring.defaults {
		o.addWithCertificate(k)
	}
	return o.out, nil
}

// missing notes that a key which only the agent could use is not there.
func (o *keyOrder) missing(k *candidate) {
	if onToken(k.public) {
		o.d.auth.note(fmt.Sprintf("key %s is on a token and not in the agent", k.name))
		return
	}
	o.d.auth.note(fmt.Sprintf("key %s is not in the agent", k.name))
}

func (o *keyOrder) held(k *candidate) bool { return o.inAgent(k.blob) != nil }

func (o *keyOrder) inAgent(blob string) *candidate {
	if i := slices.IndexFunc(o.agent, func(h *candidate) bool { return h.blob == blob }); i >= 0 {
		return o.agent[i]
	}
	return nil
}

// addWithCertificate offers a key of a file, its certificate first: that beside
// the file, or one that the agent has.
func (o *keyOrder) addWithCertificate(k *candidate) {
	if k.cert != nil {
		o.addCertificate(k.cert)
	}
	for _, h := range o.agent {
		if certifies(h, k) {
			o.add(h)
		}
	}
	o.add(k)
}

// addCertificate offers a certificate of a file by whoever has its key.
func (o *keyOrder) addCertificate(cert *candidate) {
	if held := o.inAgent(cert.blob); held != nil {
		o.add(held)
		return
	}
	for _, k := range slices.Concat(o.ring.named, o.agent, o.ring.defaults) {
		if !certifies(cert, k) {
			continue
		}
		if h := o.inAgent(k.blob); h != nil && k.signer == nil {
			k = h
		}
		if k.signer != nil || k.file != nil {
			c := *cert
			c.signer, c.file = k.signer, k.file
			o.add(&c)
			return
		}
	}
	o.d.auth.note("certificate " + cert.name + " has no key")
}

// opened is a key that can sign at once in place of k, which cannot: held by the
// agent, or in a file that is not encrypted; else it is k.
func (o *keyOrder) opened(k *candidate) *candidate {
	for _, other := range slices.Concat(o.agent, o.ring.named, o.ring.defaults) {
		if other.blob == k.blob && other.signer != nil {
			return other
		}
	}
	return k
}

// add offers a key if that is of use.
func (o *keyOrder) add(k *candidate) {
	tr := &o.d.auth
	if k.signer == nil {
		k = o.opened(k)
	}
	if k.signer == nil && k.file == nil || o.seen[k.blob] {
		return
	}
	o.seen[k.blob] = true
	if slices.Contains(tr.accepted, k.blob) || tr.step.offered[k.blob] {
		return
	}
	if problem := certProblem(k, time.Now()); problem != "" {
		tr.note(problem)
		return
	}
	algos := k.algorithms(o.d.t.Auth.KeyAlgorithms)
	if len(algos) == 0 {
		tr.note(fmt.Sprintf("key %s is of none of the algorithms that are allowed here", k.name))
		return
	}
	o.out = append(o.out, &offered{o.d, k, algos})
}

// offered is a key as one login offers it: it notes that it was offered, and
// signs within the login's limit.
type offered struct {
	d     *dialer
	k     *candidate
	algos []string // of signatures
}

// PublicKey gives the key to the library, which may leave it out.
func (o *offered) PublicKey() ssh.PublicKey {
	step := &o.d.auth.step
	if step.offered == nil {
		step.offered = make(map[string]bool)
	}
	if !step.offered[o.k.blob] {
		step.offered[o.k.blob] = true
		o.d.auth.unsent = append(o.d.auth.unsent, o.k)
	}
	return &sentKey{o.k.public, o}
}

// sentKey is a key that notes when its bytes are made to be sent.
type sentKey struct {
	ssh.PublicKey
	o *offered
}

func (s *sentKey) Marshal() []byte {
	tr, k := &s.o.d.auth, s.o.k
	tr.last, tr.lastKey = k.blob, k
	s.o.d.offers(k.name)
	tr.unsent = slices.DeleteFunc(tr.unsent, func(u *candidate) bool { return u == k })
	if !slices.Contains(tr.keys, k.name) {
		tr.keys = append(tr.keys, k.name)
	}
	return []byte(k.blob)
}

// unsuited notes the keys that the library has left out: the host does not say
// that it takes one of the algorithms that the key may sign by.
func (a *authTrace) unsuited() {
	for _, k := range a.unsent {
		a.note("key " + k.name + " does not suit the host, which names no algorithm for it that is allowed here")
	}
	a.unsent = nil
}

// Algorithms lists the signature algorithms, best first (ssh.MultiAlgorithmSigner).
func (o *offered) Algorithms() []string { return o.algos }

// Sign is part of ssh.Signer.
func (o *offered) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return o.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm signs, opening an encrypted key where that was not done yet.
// A key that cannot sign is noted, and the login goes on with the next.
func (o *offered) SignWithAlgorithm(rand io.Reader, data []byte, algo string) (*ssh.Signature, error) {
	s, err := o.signer()
	if err != nil {
		return nil, err
	}
	switch s := s.(type) {
	case *agentSigner:
		return s.signFor(o, data, algo)
	case ssh.AlgorithmSigner:
		if algo != "" {
			return s.SignWithAlgorithm(rand, data, algo)
		}
	}
	return s.Sign(rand, data)
}

func (o *offered) signer() (s ssh.Signer, err error) {
	if o.k.file == nil {
		return o.k.signer, nil
	}
	err = o.d.person(func() error {
		s, err = o.k.file.unlock(o.d.ctx, o.d.t.Auth)
		return err
	})
	if err != nil {
		o.d.auth.note(err.Error())
	}
	return s, err
}
