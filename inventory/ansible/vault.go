package ansible

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Vault decrypts what ansible-vault encrypted: formats 1.1 and 1.2, which are
// PBKDF2 with HMAC-SHA256, AES-256 in counter mode and an HMAC over the result
// (docs.ansible.com, "Ansible Vault payload format"). A nil Vault has no password.
type Vault struct {
	// Passwords are tried in order, those with the label of the text first.
	Passwords []VaultPassword
}

// VaultPassword is where a password comes from.
type VaultPassword struct {
	Label string // the vault id; empty for none
	// Get gives the password; it is asked at most once.
	Get func() ([]byte, error)

	secret []byte
	asked  bool
	err    error
}

// VaultError says why something cannot be decrypted.
type VaultError struct {
	Msg  string
	Way  string // the way out
	Err  error  // the cause, or nil
	None bool   // there is no password at all
}

func (e *VaultError) Error() string { return e.Msg }

// Unwrap gives Err.
func (e *VaultError) Unwrap() error { return e.Err }

// Hint gives Way.
func (e *VaultError) Hint() string { return e.Way }

const (
	vaultMagic  = "$ANSIBLE_VAULT"
	vaultRounds = 10_000
	vaultKey    = 32
)

// IsVault says whether a text is encrypted by ansible-vault.
func IsVault(data []byte) bool { return bytes.HasPrefix(data, []byte(vaultMagic+";")) }

// sealed is an encrypted text in its parts.
type sealed struct {
	label             string
	salt, mac, secret []byte
}

// Decrypt opens a text. The error is a *VaultError.
func (v *Vault) Decrypt(data []byte) ([]byte, error) {
	if v == nil || len(v.Passwords) == 0 {
		return nil, &VaultError{Msg: "encrypted by ansible-vault, and there is no password", Way: "--vault-password-file FILE or $ANSIBLE_VAULT_PASSWORD_FILE names one", None: true}
	}
	s, err := parseVault(data)
	if err != nil {
		return nil, &VaultError{Msg: "read vault: " + err.Error(), Err: err}
	}
	order := make([]*VaultPassword, 0, len(v.Passwords))
	for i := range v.Passwords {
		order = append(order, &v.Passwords[i])
	}
	slices.SortStableFunc(order, func(a, b *VaultPassword) int { return rank(b, s.label) - rank(a, s.label) })
	for _, p := range order {
		if !p.asked {
			p.asked = true
			p.secret, p.err = p.Get()
		}
		if p.err != nil {
			return nil, &VaultError{Msg: "vault password: " + p.err.Error(), Err: p.err}
		}
		if plain, ok := s.open(p.secret); ok {
			return plain, nil
		}
	}
	msg := "decrypt vault: the password does not fit"
	if len(order) > 1 {
		msg = fmt.Sprintf("decrypt vault: none of %d passwords fits", len(order))
	}
	if s.label != "" {
		msg += fmt.Sprintf(" (vault id %q)", short(s.label))
	}
	return nil, &VaultError{Msg: msg}
}

func rank(p *VaultPassword, label string) int {
	if label != "" && p.Label == label {
		return 1
	}
	return 0
}

// parseVault reads the header, and the three parts that are written as
// hexadecimal digits of hexadecimal digits.
func parseVault(data []byte) (*sealed, error) {
	header, body, ok := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
	fields := strings.Split(string(bytes.TrimSpace(header)), ";")
	if !ok || len(fields) < 3 || fields[0] != vaultMagic {
		return nil, errors.New("no header $ANSIBLE_VAULT;VERSION;CIPHER")
	}
	s := &sealed{}
	switch version := strings.TrimSpace(fields[1]); version {
	case "1.1":
	case "1.2":
		if len(fields) < 4 {
			return nil, errors.New("a header of version 1.2 without a vault id")
		}
		s.label = strings.TrimSpace(fields[3])
	default:
		return nil, fmt.Errorf("version %q is not known, 1.1 and 1.2 are", short(version))
	}
	if name := strings.TrimSpace(fields[2]); name != "AES256" {
		return nil, fmt.Errorf("cipher %q is not known, AES256 is", short(name))
	}
	outer, err := unhex(body)
	if err != nil {
		return nil, err
	}
	parts := bytes.Split(outer, []byte("\n"))
	if len(parts) != 3 {
		return nil, fmt.Errorf("want salt, hmac and text, found %d parts", len(parts))
	}
	for i, to := range []*[]byte{&s.salt, &s.mac, &s.secret} {
		if *to, err = unhex(parts[i]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// unhex reads hexadecimal digits, spaces and line ends between them left out.
func unhex(text []byte) ([]byte, error) {
	digits := make([]byte, 0, len(text))
	for _, c := range text {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			digits = append(digits, c)
		}
	}
	out := make([]byte, hex.DecodedLen(len(digits)))
	if _, err := hex.Decode(out, digits); err != nil {
		return nil, errors.New("text that is not in hexadecimal digits")
	}
	return out, nil
}

// open decrypts with one password; false where it does not fit.
func (s *sealed) open(password []byte) ([]byte, bool) {
	keys, err := pbkdf2.Key(sha256.New, string(password), s.salt, vaultRounds, 2*vaultKey+aes.BlockSize)
	if err != nil {
		return nil, false
	}
	mac := hmac.New(sha256.New, keys[vaultKey:2*vaultKey])
	mac.Write(s.secret)
	if !hmac.Equal(mac.Sum(nil), s.mac) {
		return nil, false
	}
	block, err := aes.NewCipher(keys[:vaultKey])
	if err != nil {
		return nil, false
	}
	plain := make([]byte, len(s.secret))
	cipher.NewCTR(block, keys[2*vaultKey:]).XORKeyStream(plain, s.secret)
	return unpad(plain)
}

// unpad takes off what fills the last block (RFC 5652, 6.3).
func unpad(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return nil, false
	}
	n := int(b[len(b)-1])
	if n == 0 || n > aes.BlockSize || n > len(b) || bytes.Count(b[len(b)-n:], b[len(b)-1:]) != n {
		return nil, false
	}
	return b[:len(b)-n], true
}
