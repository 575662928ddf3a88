package lab

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// loginFaults go wrong between the key exchange and the end of the login.
func loginFaults() []fault {
	return []fault{
		{"noisy-banner", "", "a login banner full of terminal escape sequences",
			func(b *behavior, _ value) { b.setBanner(noise) }},
		{"big-banner", "BYTES", "a login banner of that size",
			func(b *behavior, v value) {
				b.setBanner(strings.Repeat("All use is recorded.\r\n", int(v.bytes()/22)+1))
			}},
		{"hang-auth", "", "no answer to a login attempt",
			func(b *behavior, _ value) { b.beforeKey(func(w *wire) error { <-w.gone; return errors.New("gone") }) }},
		{"slow-auth", "D", "each login attempt is answered after D",
			func(b *behavior, v value) {
				d := v.duration()
				b.beforeKey(func(w *wire) error { return w.late(d) })
			}},
		{"deny-auth", "", "every login is refused",
			func(b *behavior, _ value) { b.beforeKey(func(*wire) error { return errDenied }) }},
		{"password-only", "", "only a password is accepted, no key",
			func(b *behavior, _ value) {
				b.onConfig(func(w *wire, c *ssh.ServerConfig) {
					c.PublicKeyCallback = nil
					if c.PasswordCallback == nil {
						c.PasswordCallback = func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, errDenied }
					}
				})
			}},
		{"partial-auth-endless", "", "every right answer is followed by another question",
			func(b *behavior, _ value) { b.onConfig(neverEnough) }},
	}
}

func (b *behavior) setBanner(text string) {
	b.onConfig(func(_ *wire, c *ssh.ServerConfig) {
		c.BannerCallback = func(ssh.ConnMetadata) string { return text }
	})
}

// beforeKey puts f before the check of a key.
func (b *behavior) beforeKey(f func(*wire) error) {
	b.onConfig(func(w *wire, c *ssh.ServerConfig) {
		next := c.PublicKeyCallback
		if next == nil {
			return
		}
		c.PublicKeyCallback = func(m ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if err := f(w); err != nil {
				return nil, err
			}
			return next(m, k)
		}
	})
}

// late waits for d and fails if the connection ended before.
func (w *wire) late(d time.Duration) error {
	if !w.pause(d) {
		return errors.New("gone")
	}
	return nil
}

// neverEnough takes each key and each answer as a partial success.
func neverEnough(_ *wire, c *ssh.ServerConfig) {
	more := &ssh.PartialSuccessError{}
	check := c.PublicKeyCallback
	more.Next.PublicKeyCallback = func(m ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
		if check != nil {
			if _, err := check(m, k); err != nil {
				return nil, err
			}
		}
		return nil, more
	}
	more.Next.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
		if _, err := ask("", "", []string{"One more code: "}, []bool{false}); err != nil {
			return nil, err
		}
		return nil, more
	}
	c.PublicKeyCallback = more.Next.PublicKeyCallback
	c.MaxAuthTries = -1
}
