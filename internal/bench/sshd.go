package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// listenersOf is how many addresses one sshd takes (MAX_LISTEN_SOCKS, 16).
const listenersOf = 16

// openssh starts real OpenSSH servers on n loopback addresses, as processes of
// this user with their own configuration and keys.
func (b *bench) openssh(ctx context.Context, n int) (*server, error) {
	sshd, err := findSSHD()
	if err != nil {
		return nil, err
	}
	dir, err := b.folder("openssh")
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, user: me.Username}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	for i := range n {
		s.hosts = append(s.hosts, fmt.Sprintf("127.91.%d.%d:%d", i/250, i%250+1, port))
	}
	if err := s.writeSSHFiles(port); err != nil {
		return nil, err
	}
	for from := 0; from < n; from += listenersOf {
		if err := s.startSSHD(ctx, sshd, s.hosts[from:min(n, from+listenersOf)]); err != nil {
			s.stop()
			return nil, err
		}
	}
	for _, addr := range s.hosts {
		if err := listens(ctx, addr); err != nil {
			s.stop()
			return nil, fmt.Errorf("sshd: %w: %s", err, lastLine(filepath.Join(dir, "sshd.log")))
		}
	}
	return s, nil
}

func findSSHD() (string, error) {
	for _, path := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("sshd is not installed (Debian package openssh-server)")
}

// freePort finds a port that is free on one loopback address now.
func freePort() (int, error) {
	l, err := net.Listen("tcp4", "127.91.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// writeSSHFiles writes the keys and what clients need.
func (s *server) writeSSHFiles(port int) error {
	hostKey, err := writeKey(filepath.Join(s.dir, "host_key"))
	if err != nil {
		return err
	}
	clientKey, err := writeKey(s.key())
	if err != nil {
		return err
	}
	var known, inventory strings.Builder
	fmt.Fprintf(&inventory, "defaults: {user: %q, port: %d, key: %q, known_hosts: %q}\nhosts:\n", s.user, port, s.key(), s.knownHosts())
	for i, addr := range s.hosts {
		ip, _, _ := net.SplitHostPort(addr)
		fmt.Fprintf(&known, "[%s]:%d %s", ip, port, hostKey)
		fmt.Fprintf(&inventory, "  real%02d: {address: %s}\n", i+1, ip)
	}
	for path, text := range map[string]string{
		filepath.Join(s.dir, "authorized_keys"): string(clientKey),
		s.knownHosts():                          known.String(),
		s.inventory():                           inventory.String(),
		s.addresses():                           strings.Join(s.hosts, "\n") + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeKey makes an Ed25519 key and returns its public line.
func writeKey(path string) ([]byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "fleet bench")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return ssh.MarshalAuthorizedKey(key), nil
}

// startSSHD starts one server. Sessions get a home without any profile: what
// this user's own .bashrc takes is not to be measured.
func (s *server) startSSHD(ctx context.Context, sshd string, addrs []string) error {
	var conf strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&conf, "ListenAddress %s\n", a)
	}
	fmt.Fprintf(&conf, `HostKey %[1]s/host_key
AuthorizedKeysFile %[1]s/authorized_keys
PidFile none
MaxStartups 1000
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv HOME=%[1]s
Subsystem sftp internal-sftp
`, s.dir)
	path := filepath.Join(s.dir, fmt.Sprintf("sshd_config.%d", len(s.procs)))
	if err := os.WriteFile(path, []byte(conf.String()), 0o600); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		// sshd wants this folder for its unprivileged part and has it made by its service.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return err
		}
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "sshd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, sshd, "-D", "-e", "-f", path)
	cmd.Env = cleanEnv()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return err
	}
	s.procs = append(s.procs, cmd)
	return nil
}

// listens waits until something listens on addr, for ten seconds.
func listens(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp4", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
