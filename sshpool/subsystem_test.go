package sshpool

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
)

// TestSubsystemGivesItsSessionBack has a host that allows one session serve one
// subsystem after the other, and a command at the end.
func TestSubsystemGivesItsSessionBack(t *testing.T) {
	_, target := one(t, "max-sessions=1")
	c := mustDial(t, target)
	for range 3 {
		s, err := c.Subsystem(testContext(t), "sftp")
		if err != nil {
			t.Fatal(err)
		}
		s.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := s.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if _, err := c.Exec(testContext(t), "true", nil, nil); err != nil {
		t.Fatal(err)
	}
}

// TestSubsystemReal talks to the SFTP server of a real sshd, which allows one
// session at once, and ends it by its input, as a client's Close does.
func TestSubsystemReal(t *testing.T) {
	c := mustDial(t, realTarget(t, sshtest.OpenSSH(t, sshtest.MaxSessions(1))))
	for range 2 {
		s, err := c.Subsystem(testContext(t), "sftp")
		if err != nil {
			t.Fatal(err)
		}
		s.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := s.Write([]byte{0, 0, 0, 5, 1, 0, 0, 0, 3}); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, sftpAnswer)
		if _, err := io.ReadFull(s, answer); err != nil || answer[4] != sftpVersion {
			t.Errorf("answer %q, %v", answer, err)
		}
		if err := s.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, s); err != nil {
			t.Errorf("after the end of input: %v, want its end", err)
		}
		s.Close()
	}
	if granted, _, err := c.Request(testContext(t), "nonsense@example.com", nil); granted || err != nil {
		t.Errorf("Request = %v, %v", granted, err)
	}
}

func TestSubsystemRefused(t *testing.T) {
	_, target := one(t, lab.Fault("no-sftp"))
	c := mustDial(t, target)
	_, err := c.Subsystem(testContext(t), "sftp")
	wantError(t, err, KindPermission, StageChannel)
	c.Close()
	_, err = c.Subsystem(testContext(t), "sftp")
	wantError(t, err, KindConnLost, StageChannel)
	_, _, err = c.Request(testContext(t), "nonsense@example.com", nil)
	wantError(t, err, KindConnLost, StageChannel)
}

// TestOneWriter wants the two streams of a command never to write at once where
// they share a writer; the race detector watches.
func TestOneWriter(t *testing.T) {
	_, target := one(t, "")
	c := mustDial(t, target)
	var n count
	res, err := c.Run(testContext(t), Command{Text: "lines 2000; stderr 2000", Stdout: &n, Stderr: &n})
	if err != nil {
		t.Fatal(err)
	}
	if int64(n) != res.StdoutBytes+res.StderrBytes || res.StdoutBytes == 0 || res.StderrBytes == 0 {
		t.Errorf("writer got %d bytes of %d and %d", n, res.StdoutBytes, res.StderrBytes)
	}
}

type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}

// TestNoticeIsBounded wants the end of a host's endless notice dropped.
func TestNoticeIsBounded(t *testing.T) {
	_, target := one(t, "big-banner=200K")
	if n := len(mustDial(t, target).Facts().Notice); n != maxNotice {
		t.Errorf("kept %d bytes of the notice, want %d", n, maxNotice)
	}
}

// TestAgentKeysWaits gives up on an agent that does not answer when the context
// ends, and says that it was that.
func TestAgentKeysWaits(t *testing.T) {
	ctx, cancel := context.WithCancel(testContext(t))
	socket := mute(t, cancel)
	if keys, err := AgentKeys(ctx, socket); err == nil || err.Error() != "agent: context canceled" {
		t.Errorf("AgentKeys = %v, %v", keys, err)
	}
	if _, err := AgentKeys(testContext(t), socket+".none"); err == nil || err.Error() != "agent: no such file or directory" {
		t.Errorf("of no socket: %v", err)
	}
}

// mute listens at a socket as an agent that never answers, and calls met when a
// client is there.
func mute(t *testing.T, met func()) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "agent")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		met()
		io.Copy(io.Discard, conn)
		conn.Close()
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return socket
}
