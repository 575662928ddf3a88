package sshtest

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// Server is a real SSH server of this machine, on loopback, run by and letting
// in the user who runs the test. It ends with its test, and everything that it
// started ends with it.
type Server struct {
	Name       string   // "openssh" or "dropbear"
	Addresses  []string // IP addresses, all on Port
	Addr       string   // the first of them with the port
	Port       int
	User       string
	Password   string // of User, if option Password was given
	Signer     ssh.Signer
	KeyFile    string
	KnownHosts string        // holds HostKey for all addresses
	HostKey    ssh.PublicKey // ed25519; OpenSSH has an ECDSA key, too
	Dir        string

	t   testing.TB
	cmd *exec.Cmd
	up  bool // it listens on Port
	log serverLog
}

// Option changes how a real server is started.
type Option func(*options)

type options struct {
	addresses []string
	config    []string // lines of sshd_config
	args      []string // of dropbear
	noSFTP    bool
	password  string
	shell     string
	accounts  *Accounts
	namespace string // sh code
	homeKeys  bool
	env       []string
}

// Listen sets the addresses to listen on; 127.0.0.1 to 127.0.0.4 without it.
func Listen(addresses ...string) Option {
	return func(o *options) { o.addresses = addresses }
}

// Config adds a line to sshd_config, before all others: it wins.
func Config(line string) Option {
	return func(o *options) { o.config = append(o.config, line) }
}

// MaxStartups sets how many connections may be open before their login:
// start:rate:full, see sshd_config(5).
func MaxStartups(spec string) Option { return Config("MaxStartups " + spec) }

// MaxSessions sets how many sessions one connection may have.
func MaxSessions(n int) Option { return Config("MaxSessions " + strconv.Itoa(n)) }

// NoSFTP leaves the sftp subsystem out of sshd's configuration.
func NoSFTP() Option { return func(o *options) { o.noSFTP = true } }

// Env sets a variable, KEY=VALUE, in the sessions of sshd, which takes no second line
// of SetEnv beside the one that gives them their home.
func Env(kv string) Option { return func(o *options) { o.env = append(o.env, kv) } }

// HomeKeys has sshd read ~/.ssh/authorized_keys, where ~ is the server's folder, as
// hosts do where nothing is set up otherwise.
func HomeKeys() Option { return func(o *options) { o.homeKeys = true } }

// LoginGraceTime sets how long a login may take, in whole seconds.
func LoginGraceTime(d time.Duration) Option {
	return Config(fmt.Sprintf("LoginGraceTime %d", int(d.Seconds())))
}

// Args adds arguments to dropbear's.
func Args(args ...string) Option {
	return func(o *options) { o.args = append(o.args, args...) }
}

// Password lets the user in by a password, too. It gives the server its own
// passwd and shadow files; those of the machine are not touched.
func Password(password string) Option {
	return func(o *options) { o.password = password }
}

// Shell makes the program of that path the user's login shell, as Password does
// with a password.
func Shell(path string) Option {
	return func(o *options) { o.shell = path }
}

// mustHave marks a test as one that needs a real server: it fails where such tests
// must run (CI or FLEET_REAL set) and the program is missing, and is skipped
// elsewhere; its name goes to the file that FLEET_REAL_LOG names.
func mustHave(t testing.TB, program, debianPackage string) {
	t.Helper()
	if _, err := os.Stat(program); err != nil {
		missing(t, "%s is missing: install the Debian package %s", program, debianPackage)
	}
	path := os.Getenv("FLEET_REAL_LOG")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %s\n", filepath.Base(program), t.Name()); err != nil {
		t.Fatal(err)
	}
}

// missing ends a test that cannot run here: a failure where real-server tests
// are asked for, else a skip.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" || os.Getenv("FLEET_REAL") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// newServer makes what both kinds of server need: a folder, a client key, a
// user, and the options.
func newServer(t testing.TB, name string, opts []Option) (*Server, *options) {
	t.Helper()
	o := &options{addresses: []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}}
	for _, f := range opts {
		f(o)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Name: name, Addresses: o.addresses, User: me.Username, Password: o.password,
		Dir: t.TempDir(), t: t,
	}
	s.KeyFile, s.KnownHosts = s.path("id_ed25519"), s.path("known_hosts")
	s.Signer = s.makeKey("id_ed25519")
	s.write("authorized_keys", string(ssh.MarshalAuthorizedKey(s.Signer.PublicKey())), 0o600)
	s.log.changed = sync.NewCond(&s.log.mu)
	return s, o
}

func (s *Server) path(name string) string { return filepath.Join(s.Dir, name) }

func (s *Server) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), mode); err != nil {
		s.t.Fatal(err)
	}
}

// makeKey makes an ed25519 key in OpenSSH's format.
func (s *Server) makeKey(name string) ssh.Signer {
	s.t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name, string(pem.EncodeToMemory(block)), 0o600)
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		s.t.Fatal(err)
	}
	return signer
}

// launch starts the server on a free port and returns when it listens on all
// addresses, as ready says by the log. command gives the program for a port.
func (s *Server) launch(o *options, command func(port int) []string, ready func(log string) bool) {
	s.t.Helper()
	s.t.Cleanup(func() {
		s.Stop()
		if s.t.Failed() {
			s.t.Logf("log of %s on %s:\n%s", s.Name, s.Addr, s.Log())
		}
	})
	for try := 1; ; try++ {
		s.Port = freePort(s.t, s.Addresses)
		s.Addr = net.JoinHostPort(s.Addresses[0], strconv.Itoa(s.Port))
		if s.up = s.begin(o, command(s.Port), ready); s.up {
			break
		}
		s.Stop()
		// Another program may have taken the port in between.
		if try == 5 {
			s.t.Fatalf("%s does not listen:\n%s", s.Name, s.Log())
		}
	}
	var known strings.Builder
	for _, a := range s.Addresses {
		fmt.Fprintf(&known, "[%s]:%d %s", a, s.Port, ssh.MarshalAuthorizedKey(s.HostKey))
	}
	s.write("known_hosts", known.String(), 0o644)
}

// begin starts the program once and waits until it listens or gives up.
func (s *Server) begin(o *options, argv []string, ready func(string) bool) bool {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.log.follow(r)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = w
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + s.Dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if o.accounts != nil {
		s.useEtc(cmd, o)
	} else if o.password != "" || o.shell != "" || s.Name == "dropbear" {
		s.useAccounts(cmd, o)
	}
	if o.namespace != "" {
		s.useNamespace(cmd, o.namespace)
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return s.log.wait(ctx, ready)
}

// Log is what the server has written so far.
func (s *Server) Log() string {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.text.String()
}

// WaitLog returns when the server's log holds text; it fails the test after
// limit.
func (s *Server) WaitLog(text string, limit time.Duration) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if !s.log.wait(ctx, func(log string) bool { return strings.Contains(log, text) }) {
		s.t.Fatalf("no %q in the log of %s within %v", text, s.Name, limit)
	}
}

// serverLog gathers the server's stderr.
type serverLog struct {
	mu      sync.Mutex
	changed *sync.Cond
	text    strings.Builder
	from    *os.File
	reading sync.WaitGroup
	open    bool
}

func (l *serverLog) follow(r *os.File) {
	l.from, l.open = r, true
	l.reading.Go(func() {
		lines := bufio.NewReader(r)
		for {
			line, err := lines.ReadString('\n')
			l.mu.Lock()
			l.text.WriteString(line)
			l.open = err == nil
			l.changed.Broadcast()
			l.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
}

// wait returns true once ready says so, false when ctx or the log ends.
func (l *serverLog) wait(ctx context.Context, ready func(string) bool) bool {
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if ready(l.text.String()) {
			return true
		}
		if !l.open || ctx.Err() != nil {
			return false
		}
		l.changed.Wait()
	}
}

// close ends the reading, also where some process still has the other end.
func (l *serverLog) close() {
	if l.from != nil {
		l.from.Close()
		l.reading.Wait()
		l.from = nil
	}
}

// freePort finds a port that is free on all addresses at this moment.
func freePort(t testing.TB, addresses []string) int {
	t.Helper()
	for range 50 {
		port := 0
		var open []io.Closer
		for _, a := range addresses {
			ln, err := net.Listen("tcp", net.JoinHostPort(a, strconv.Itoa(port)))
			if err != nil {
				port = 0
				break
			}
			open = append(open, ln)
			port = ln.Addr().(*net.TCPAddr).Port
		}
		for _, c := range open {
			c.Close()
		}
		if port != 0 {
			return port
		}
	}
	t.Fatalf("no port is free on all of %s", strings.Join(addresses, ", "))
	return 0
}
