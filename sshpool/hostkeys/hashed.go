package hostkeys

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"strings"
)

// hashed is a hashed name: HMAC-SHA1 of the name keyed by a salt of its own.
type hashed struct {
	salt, sum [sha1.Size]byte
	line      int32
}

const hashMagic = "|1|"

// parseHashed reads "|1|SALT|SUM".
func parseHashed(hosts string) (hashed, error) {
	var h hashed
	rest, ok := strings.CutPrefix(hosts, hashMagic)
	if !ok {
		return h, errors.New("hashed name of an unknown kind")
	}
	salt, sum, ok := strings.Cut(rest, "|")
	if !ok || !decodeSum(&h.salt, salt) || !decodeSum(&h.sum, sum) {
		return h, errors.New("hashed name is malformed")
	}
	return h, nil
}

func decodeSum(to *[sha1.Size]byte, text string) bool {
	var buf [24]byte
	if len(text) != 28 {
		return false
	}
	n, err := base64.StdEncoding.Strict().Decode(buf[:], []byte(text))
	copy(to[:], buf[:])
	return err == nil && n == sha1.Size
}

// means says whether h is the hash of name.
func (h *hashed) means(name string) bool { return nameSum(&h.salt, name) == h.sum }

// nameSum is HMAC-SHA1 (RFC 2104) with salt as the key. Written out because
// crypto/hmac allocates and takes three times as long for so short a message.
func nameSum(salt *[sha1.Size]byte, name string) [sha1.Size]byte {
	var space [sha1.BlockSize + 192]byte
	buf := space[:]
	if len(name) > 192 {
		buf = make([]byte, sha1.BlockSize+len(name))
	}
	for i := range sha1.BlockSize {
		buf[i] = 0x36
	}
	for i, b := range salt {
		buf[i] ^= b
	}
	inner := sha1.Sum(buf[:sha1.BlockSize+copy(buf[sha1.BlockSize:], name)])
	for i := range sha1.BlockSize {
		buf[i] ^= 0x36 ^ 0x5c
	}
	return sha1.Sum(buf[:sha1.BlockSize+copy(buf[sha1.BlockSize:], inner[:])])
}

// hashName gives the hashed form of name with a fresh salt.
func hashName(name string) string {
	var salt [sha1.Size]byte
	rand.Read(salt[:])
	sum := nameSum(&salt, name)
	enc := base64.StdEncoding
	return hashMagic + enc.EncodeToString(salt[:]) + "|" + enc.EncodeToString(sum[:])
}
