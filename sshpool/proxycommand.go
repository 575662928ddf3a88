package sshpool

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// proxyConn is the transport that a proxy command makes: its stdin and stdout.
// The command has a process group of its own, which ends with the transport.
type proxyConn struct {
	in, out *os.File // our ends
	cmd     *exec.Cmd
	said    stderrHead
	exited  chan struct{} // closed when the command has been waited for
	status  error         // how it ended, then
	closing sync.Once
}

// startProxy gives a Target's DialContext that runs command.
func startProxy(command string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		p, err := runProxy(command)
		if err != nil {
			return nil, &Error{Op: opDial, Kind: KindInternal, Stage: StageTCP, Err: err, Text: "proxy command: " + innermost(err).Error()}
		}
		return p, nil
	}
}

func runProxy(command string) (*proxyConn, error) {
	shell := os.Getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	if !strings.HasPrefix(command, "exec ") {
		command = "exec " + command
	}
	p := &proxyConn{cmd: exec.Command(shell, "-c", command), exited: make(chan struct{})}
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer theirOut.Close()
	p.in, p.out = in, out
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = theirIn, theirOut, &p.said
	p.cmd.WaitDelay = proxyGrace
	ownGroup(p.cmd)
	if err := p.cmd.Start(); err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	go func() {
		p.status = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// proxyGrace is how long a proxy command has to end by itself, and its stderr
// to be read after it has ended.
const proxyGrace = time.Second

// Read gives what the command writes; at its end, why it ended where that is known.
func (p *proxyConn) Read(b []byte) (int, error) {
	n, err := p.out.Read(b)
	return n, p.explain(err)
}

// Write gives the command its input.
func (p *proxyConn) Write(b []byte) (int, error) {
	n, err := p.in.Write(b)
	return n, p.explain(err)
}

// explain makes of the end of the command's pipes an error that tells of it.
func (p *proxyConn) explain(err error) error {
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	if errors.Is(err, os.ErrClosed) {
		return net.ErrClosed
	}
	limit := newLimit(proxyGrace)
	defer limit.stop()
	text := "proxy command closed the connection"
	select {
	case <-p.exited:
		text = "proxy command ended"
		if p.status != nil {
			text += ": " + p.status.Error()
		}
	case <-limit.c:
	}
	if said := p.said.text(); said != "" {
		text += ": " + said
	}
	return &Error{Op: opDial, Kind: KindConnLost, Stage: StageTCP, Err: err, Text: text, below: true}
}

// Close ends the command and all of its process group.
func (p *proxyConn) Close() error {
	err := net.ErrClosed
	p.closing.Do(func() {
		err = nil
		p.in.Close()
		p.out.Close()
		endGroup(p.cmd, false)
		go func() {
			limit := newLimit(proxyGrace)
			defer limit.stop()
			select {
			case <-p.exited:
			case <-limit.c:
			}
			endGroup(p.cmd, true)
			<-p.exited
		}()
	})
	return err
}

func (p *proxyConn) LocalAddr() net.Addr  { return hostAddr{"pipe", "here"} }
func (p *proxyConn) RemoteAddr() net.Addr { return hostAddr{"pipe", "proxy command"} }

func (p *proxyConn) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}
func (p *proxyConn) SetReadDeadline(t time.Time) error  { return p.out.SetReadDeadline(t) }
func (p *proxyConn) SetWriteDeadline(t time.Time) error { return p.in.SetWriteDeadline(t) }

// stderrHead keeps the first bytes that a command wrote to stderr.
type stderrHead struct {
	mu   sync.Mutex
	head []byte
}

func (s *stderrHead) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := maxExcerpt + 1 - len(s.head); room > 0 {
		s.head = append(s.head, b[:min(room, len(b))]...)
	}
	return len(b), nil
}

func (s *stderrHead) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text := strings.TrimSpace(string(s.head)); text != "" {
		return excerpt([]byte(text))
	}
	return ""
}
