package lab

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// short is how long a test watches for something that must not come.
const short = 150 * time.Millisecond

// far bounds what must come.
const far = 20 * time.Second

// probe is one look at a host with a fault.
type probe struct {
	*testing.T
	lab  *Lab
	host *Host
}

// raw connects without SSH.
func (p probe) raw() net.Conn {
	p.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(p.host.Address, strconv.Itoa(p.host.Port)))
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(far))
	return c
}

// silent wants no byte to come.
func (p probe) silent(c net.Conn) {
	p.Helper()
	c.SetReadDeadline(time.Now().Add(short))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		p.Errorf("read = %d, %v; want silence", n, err)
	}
}

// says wants all that comes until the end of the stream to hold a text.
func (p probe) says(text string) {
	p.Helper()
	c := p.raw()
	got, err := io.ReadAll(io.LimitReader(c, 1<<20))
	if err != nil || !strings.Contains(string(got), text) {
		p.Errorf("answer = %.100q, %v; want %q", got, err, text)
	}
}

// loginFails wants a login to fail with text in the error.
func (p probe) loginFails(limit time.Duration, text string) {
	p.Helper()
	c, err := tryDial(p.lab, p.host, limit)
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), text) {
		p.Errorf("login: %v; want %q", err, text)
	}
}

// login logs in.
func (p probe) login() *ssh.Client { return dial(p.T, p.lab, p.host) }

// works wants a command to answer.
func (p probe) works() {
	p.Helper()
	if got, err := output(p.T, p.login(), "echo fine"); got != "fine\n" || err != nil {
		p.Errorf("echo = %q, %v", got, err)
	}
}

// takes wants f to last d or longer.
func (p probe) takes(d time.Duration, f func()) {
	p.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took < d || took > d+far {
		p.Errorf("took %v, want %v", took, d)
	}
}

// stuck wants f not to end for a while; the connection's end must end it.
func (p probe) stuck(c *ssh.Client, f func() error) {
	p.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		p.Errorf("ended: %v; want no answer", err)
	case <-time.After(short):
		c.Close()
		<-done
	}
}

// session opens a session.
func (p probe) session(c *ssh.Client) *ssh.Session {
	p.Helper()
	s, err := c.NewSession()
	if err != nil {
		p.Fatal(err)
	}
	return s
}

// faultProbes says for each fault how a client sees it.
func faultProbes() map[Fault]func(p probe) {
	all := make(map[Fault]func(p probe))
	for _, group := range []map[Fault]func(p probe){connectProbes(), loginProbes(), channelProbes(), commandProbes(), fileProbes(), dataProbes()} {
		for f, see := range group {
			all[f] = see
		}
	}
	return all
}

func connectProbes() map[Fault]func(p probe) {
	return map[Fault]func(p probe){
		"refuse": func(p probe) {
			if _, err := net.Dial("tcp", net.JoinHostPort(p.host.Address, strconv.Itoa(p.host.Port))); !errors.Is(err, syscall.ECONNREFUSED) {
				p.Errorf("connect: %v; want refused", err)
			}
		},
		"reset": (probe).isReset,
		"eof": func(p probe) {
			if n, err := p.raw().Read(make([]byte, 1)); n != 0 || err != io.EOF {
				p.Errorf("read: %d, %v; want the end", n, err)
			}
		},
		"hang": func(p probe) { p.silent(p.raw()) },
		"slow-banner=200ms": func(p probe) {
			p.takes(200*time.Millisecond, p.works)
		},
		"preversion-flood": func(p probe) {
			if _, err := io.CopyN(io.Discard, p.raw(), 8<<20); err != nil {
				p.Errorf("flood: %v", err)
			}
			p.loginFails(far, "")
		},
		"throttle": func(p probe) { p.says("Exceeded MaxStartups") },
		"penalty":  func(p probe) { p.says("Not allowed at this time") },
		"throttle-n=2": func(p probe) {
			p.says("Exceeded MaxStartups")
			p.says("Exceeded MaxStartups")
			p.works()
		},
		"reset-n=1": func(p probe) {
			p.isReset()
			p.works()
		},
		"http": func(p probe) { p.says("HTTP/1.1 400 Bad Request") },
		"hang-kex": func(p probe) {
			c := p.raw()
			line := make([]byte, len(serverVersion)+2)
			if _, err := io.ReadFull(c, line); err != nil || string(line) != serverVersion+"\r\n" {
				p.Errorf("version = %q, %v", line, err)
			}
			p.silent(c)
		},
		"slow-kex=200ms": func(p probe) {
			c := p.raw()
			io.ReadFull(c, make([]byte, len(serverVersion)+2))
			io.WriteString(c, "SSH-2.0-test\r\n")
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if n, err := c.Read(make([]byte, 1)); n != 0 {
				p.Errorf("key exchange began at once: %v", err)
			}
			p.takes(200*time.Millisecond, p.works)
		},
		"badkex":      func(p probe) { p.loginFails(far, "no common algorithm for key exchange") },
		"wrong-key":   func(p probe) { p.loginFails(far, "host key mismatch") },
		"unknown-key": (probe).unlisted,
	}
}

// isReset wants a reset, which may come before the connect has returned.
func (p probe) isReset() {
	p.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort(p.host.Address, strconv.Itoa(p.host.Port)))
	if err == nil {
		defer c.Close()
		c.SetDeadline(time.Now().Add(far))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		p.Errorf("connect and read: %v; want reset", err)
	}
}

func (p probe) unlisted() {
	p.Helper()
	p.works()
	if known := string(p.lab.knownHosts()); strings.Contains(known, "["+p.host.Address+"]") {
		p.Errorf("known_hosts lists the host:\n%s", known)
	}
}

func loginProbes() map[Fault]func(p probe) {
	const unable = "unable to authenticate"
	return map[Fault]func(p probe){
		"noisy-banner":    func(p probe) { p.banner(func(s string) bool { return s == noise }) },
		"big-banner=200K": func(p probe) { p.banner(func(s string) bool { return len(s) >= 200<<10 }) },
		"hang-auth":       func(p probe) { p.loginFails(short, "i/o timeout") },
		"slow-auth=200ms": func(p probe) { p.takes(200*time.Millisecond, p.works) },
		"deny-auth":       func(p probe) { p.loginFails(far, unable) },
		"password-only": func(p probe) {
			p.loginFails(far, "attempted methods [none], no supported methods remain")
		},
		"partial-auth-endless": func(p probe) {
			p.loginFails(far, "")
			if n := p.host.Stats().Attempts; n < 2 {
				p.Errorf("%d login attempts, want many", n)
			}
		},
	}
}

func (p probe) banner(right func(string) bool) {
	p.Helper()
	var got string
	c, err := ssh.Dial("tcp", net.JoinHostPort(p.host.Address, strconv.Itoa(p.host.Port)), &ssh.ClientConfig{
		User: "ops", Auth: []ssh.AuthMethod{ssh.PublicKeys(p.lab.Signer())}, HostKeyCallback: ssh.FixedHostKey(p.host.HostKey),
		BannerCallback: func(m string) error { got += m; return nil },
	})
	if err != nil {
		p.Fatal(err)
	}
	c.Close()
	if !right(got) {
		p.Errorf("banner of %d bytes: %.80q", len(got), got)
	}
}

func channelProbes() map[Fault]func(p probe) {
	return map[Fault]func(p probe){
		"freeze": func(p probe) {
			c := p.login()
			p.stuck(c, func() error { _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); return err })
		},
		"hang-channel": func(p probe) {
			c := p.login()
			p.stuck(c, func() error { _, err := c.NewSession(); return err })
		},
		"refuse-channel": func(p probe) {
			if _, err := p.login().NewSession(); err == nil || !strings.Contains(err.Error(), "prohibited") {
				p.Errorf("session: %v; want prohibited", err)
			}
		},
		"max-sessions=2": func(p probe) {
			c := p.login()
			first := p.session(c)
			p.session(c)
			if _, err := c.NewSession(); err == nil || !strings.Contains(err.Error(), "open failed") {
				p.Errorf("third session: %v; want open failed", err)
			}
			first.Close()
			for deadline := time.Now().Add(far); ; {
				if s, err := c.NewSession(); err == nil {
					s.Close()
					return
				} else if time.Now().After(deadline) {
					p.Fatalf("session after one was closed: %v", err)
				}
			}
		},
		"no-forward": func(p probe) {
			_, err := p.login().Dial("tcp", p.host.Address+":22")
			var refused *ssh.OpenChannelError
			if !errors.As(err, &refused) || refused.Reason != ssh.Prohibited {
				p.Errorf("forward: %v; want prohibited", err)
			}
		},
		"hang-exec": func(p probe) {
			c := p.login()
			s := p.session(c)
			p.stuck(c, func() error { return s.Start("true") })
		},
		"refuse-exec": func(p probe) {
			if err := p.session(p.login()).Start("true"); err == nil || !strings.Contains(err.Error(), "failed") {
				p.Errorf("exec: %v; want refused", err)
			}
		},
		"requests":       (probe).works,
		"rekey-each=256": (probe).works,
		"garbage": func(p probe) {
			_, err := output(p.T, p.login(), "true")
			var missing *ssh.ExitMissingError
			if !errors.As(err, &missing) {
				p.Errorf("command: %v; want no exit status, as the connection broke", err)
			}
		},
	}
}

func commandProbes() map[Fault]func(p probe) {
	var missing *ssh.ExitMissingError
	return map[Fault]func(p probe){
		"noisy": func(p probe) {
			if got, err := p.session(p.login()).Output("echo fine"); string(got) != noise+"fine\n" || err != nil {
				p.Errorf("output = %q, %v", got, err)
			}
		},
		"slow-output=1K": func(p probe) {
			p.takes(250*time.Millisecond, func() { output(p.T, p.login(), "bytes 300") })
		},
		"flood": func(p probe) {
			s := p.session(p.login())
			out, _ := s.StdoutPipe()
			if err := s.Start("true"); err != nil {
				p.Fatal(err)
			}
			if n, err := io.CopyN(io.Discard, out, 16<<20); err != nil {
				p.Errorf("flood ended after %d bytes: %v", n, err)
			}
		},
		"cut=5000":        func(p probe) { p.cutAfter(5000) },
		"freeze-after=10": (probe).freezesAfterTen,
		"signal": func(p probe) {
			_, err := output(p.T, p.login(), "true")
			var exit *ssh.ExitError
			if !errors.As(err, &exit) || exit.Signal() != "KILL" || exit.Msg() != noise {
				p.Errorf("command: %#v; want signal KILL with noise", err)
			}
		},
		"no-status": func(p probe) {
			c := p.login()
			if got, err := output(p.T, c, "echo fine"); got != "fine\n" || !errors.As(err, &missing) {
				p.Errorf("command: %q, %v; want output and no status", got, err)
			}
			if _, _, err := c.SendRequest("keepalive@openssh.com", true, nil); err != nil {
				p.Errorf("the connection went, too: %v", err)
			}
		},
		"linger": (probe).lingers,
	}
}

func (p probe) cutAfter(k int) {
	p.Helper()
	want, err := io.ReadAll(io.LimitReader(&pattern{}, int64(k)))
	if err != nil {
		p.Fatal(err)
	}
	var missing *ssh.ExitMissingError
	for range 20 {
		got, err := output(p.T, p.login(), "bytes 100K")
		if !bytes.Equal([]byte(got), want) || !errors.As(err, &missing) {
			p.Fatalf("command: %d bytes, %v; want just the first %d and no status", len(got), err, k)
		}
	}
	if got, err := output(p.T, p.login(), "echo less"); got != "less\n" || !errors.As(err, &missing) {
		p.Errorf("command with less output: %q, %v", got, err)
	}
}

func (p probe) freezesAfterTen() {
	p.Helper()
	c := p.login()
	s := p.session(c)
	out, _ := s.StdoutPipe()
	if err := s.Start("bytes 100"); err != nil {
		p.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 10)); err != nil {
		p.Fatal(err)
	}
	p.stuck(c, func() error { _, err := out.Read(make([]byte, 1)); return err })
}

func (p probe) lingers() {
	p.Helper()
	ch, requests, err := p.login().OpenChannel("session", nil)
	if err != nil {
		p.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); io.Copy(io.Discard, ch) }()
	if ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ C string }{"echo fine"})); !ok || err != nil {
		p.Fatal(ok, err)
	}
	select {
	case r := <-requests:
		if r == nil || r.Type != "exit-status" {
			p.Errorf("request = %v; want exit-status", r)
		}
	case <-time.After(far):
		p.Error("no exit status")
	}
	select {
	case <-ended:
		p.Error("the output ended")
	case <-time.After(short):
	}
	ch.Close()
	<-ended
}

// TestFaults looks at every fault as a bare client; one without a probe fails.
func TestFaults(t *testing.T) {
	probes := faultProbes()
	var names []string
	faults := make(map[string]Fault)
	seen := make(map[string]bool)
	for f := range probes {
		name := "h" + strconv.Itoa(len(names))
		names = append(names, name)
		faults[name] = f
		base, _, _ := strings.Cut(string(f), "=")
		seen[base] = true
	}
	for _, doc := range Faults() {
		if !seen[doc.Name] {
			t.Errorf("fault %s has no probe", doc.Name)
		}
		if doc.Doc == "" {
			t.Errorf("fault %s has no doc", doc.Name)
		}
	}
	l := start(t, Config{Names: names, Faults: faults})
	for name, f := range faults {
		t.Run(string(f), func(t *testing.T) { probes[f](probe{t, l, l.Host(name)}) })
	}
}
