package hostkeys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// Key revocation lists (OpenSSH's PROTOCOL.krl).

const krlMagic = "SSHKRL\n\x00"

// Sections of a list, and those of a section of certificates.
const (
	krlCertificates = 1
	krlKeys         = 2
	krlSHA1         = 3
	krlSignature    = 4
	krlSHA256       = 5
	krlExtension    = 255

	krlSerials        = 0x20
	krlSerialRange    = 0x21
	krlSerialBitmap   = 0x22
	krlKeyIDs         = 0x23
	krlCertsExtension = 0x39
)

// revokedCerts are certificates of one authority, or of any.
type revokedCerts struct {
	authority []byte // wire form of its key; empty: any
	serials   map[uint64]bool
	ranges    [][2]uint64 // both ends are meant
	bitmaps   []bitmap
	ids       map[string]bool
}

// bitmap is serial numbers from first on, a bit each.
type bitmap struct {
	first uint64
	bits  *big.Int
}

// has says whether a certificate is among them. The serial number 0 is that of
// certificates without one, and means none.
func (c *revokedCerts) has(cert *ssh.Certificate) bool {
	if len(c.authority) > 0 && !bytes.Equal(c.authority, cert.SignatureKey.Marshal()) {
		return false
	}
	if c.ids[cert.KeyId] {
		return true
	}
	n := cert.Serial
	if n == 0 {
		return false
	}
	for _, r := range c.ranges {
		if r[0] <= n && n <= r[1] {
			return true
		}
	}
	for _, b := range c.bitmaps {
		if n >= b.first && n-b.first < uint64(b.bits.BitLen()) && b.bits.Bit(int(n-b.first)) == 1 {
			return true
		}
	}
	return c.serials[n]
}

var errKRL = errors.New("damaged key revocation list")

// krlReader takes a list apart; after the first error all is empty.
type krlReader struct {
	rest []byte
	err  error
}

func (r *krlReader) more() bool { return r.err == nil && len(r.rest) > 0 }

func (r *krlReader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		r.err = errKRL
		return make([]byte, min(n, 8))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *krlReader) byte() byte     { return r.take(1)[0] }
func (r *krlReader) number() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *krlReader) text() []byte {
	field, rest, ok := wireString(r.rest)
	if r.err != nil || !ok {
		r.err = errKRL
		return nil
	}
	r.rest = rest
	return field
}

// section gives what stands in the text that comes next.
func (r *krlReader) section() *krlReader {
	text := r.text()
	return &krlReader{rest: text, err: r.err}
}

// readKRL takes in a list, behind its magic. Its signatures say nothing here: that
// the file is the right one is for whoever names it to see to, as with ssh.
func (r *RevokedKeys) readKRL(data []byte) error {
	k := &krlReader{rest: data}
	if version := binary.BigEndian.Uint32(k.take(4)); k.err == nil && version != 1 {
		return fmt.Errorf("key revocation list of the unknown version %d", version)
	}
	k.number() // version, date and flags of the list
	k.number()
	k.number()
	k.text() // reserved
	k.text() // comment
	for k.more() {
		kind := k.byte()
		s := k.section()
		switch kind {
		case krlCertificates:
			r.readCerts(s)
		case krlKeys:
			s.each(r.keys)
		case krlSHA1:
			s.each(r.sha1)
		case krlSHA256:
			s.each(r.sha256)
		case krlSignature: // it was that of its key
			k.text()
		case krlExtension:
			s.extension()
		default:
			return fmt.Errorf("key revocation list with the unknown section %d", kind)
		}
		if s.err != nil {
			return s.err
		}
	}
	return k.err
}

// each adds all texts that follow to a set.
func (r *krlReader) each(to map[string]bool) {
	for r.more() {
		to[string(r.text())] = true
	}
}

// extension passes over one that may be, and refuses one that matters.
func (r *krlReader) extension() {
	name := r.text()
	if critical := r.byte(); r.err == nil && critical != 0 {
		r.err = fmt.Errorf("key revocation list with the unknown critical extension %q", clip(string(name)))
	}
}

// readCerts takes in one section of certificates.
func (r *RevokedKeys) readCerts(s *krlReader) {
	c := revokedCerts{authority: s.text(), serials: make(map[uint64]bool), ids: make(map[string]bool)}
	s.text() // reserved
	for s.more() {
		kind := s.byte()
		in := s.section()
		switch kind {
		case krlSerials:
			for in.more() {
				c.serials[in.number()] = true
			}
		case krlSerialRange:
			c.ranges = append(c.ranges, [2]uint64{in.number(), in.number()})
		case krlSerialBitmap:
			c.bitmaps = append(c.bitmaps, bitmap{in.number(), new(big.Int).SetBytes(in.text())})
		case krlKeyIDs:
			in.each(c.ids)
		case krlCertsExtension:
			in.extension()
		default:
			in.err = fmt.Errorf("key revocation list with the unknown section of certificates %#x", kind)
		}
		if in.err != nil {
			s.err = in.err
			return
		}
	}
	r.certs = append(r.certs, c)
}
