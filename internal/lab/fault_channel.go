package lab

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

// channelFaults go wrong between the login and the start of a command.
func channelFaults() []fault {
	return []fault{
		{"freeze", "", "after the login nothing is read or written any more, as after SIGSTOP",
			func(b *behavior, _ value) { b.onReady(func(w *wire, _ *ssh.ServerConn) { w.freeze() }) }},
		{"hang-channel", "", "the opening of a channel is never answered",
			func(b *behavior, _ value) { b.open = func(*wire, ssh.NewChannel) bool { return false } }},
		{"refuse-channel", "", "every channel is refused",
			func(b *behavior, _ value) {
				b.open = func(_ *wire, nc ssh.NewChannel) bool {
					nc.Reject(ssh.Prohibited, "administratively prohibited")
					return false
				}
			}},
		{"max-sessions", "N", "at most N sessions at once on one connection, as MaxSessions",
			func(b *behavior, v value) { b.maxSessions = v.count() }},
		{"no-forward", "", "forwarding is refused both ways, as by AllowTcpForwarding no",
			func(b *behavior, _ value) { b.noForward = true }},
		{"hang-exec", "", "the request to run a command is never answered",
			func(b *behavior, _ value) { b.muteExec = true }},
		{"refuse-exec", "", "the request to run a command is refused",
			func(b *behavior, _ value) { b.denyExec = true }},
		{"requests", "", "global requests that nobody asked for, ten a second",
			func(b *behavior, _ value) { b.onReady(pester) }},
		{"rekey-each", "BYTES", "new keys are exchanged after that many bytes",
			func(b *behavior, v value) {
				n := v.bytes()
				b.onConfig(func(_ *wire, c *ssh.ServerConfig) { c.RekeyThreshold = uint64(n) })
			}},
		{"garbage", "", "random bytes in place of packets, once a command was sent",
			func(b *behavior, _ value) {
				b.run = func(ctx context.Context, s *session, c *Command) Exit {
					junk := make([]byte, 64<<10)
					rand.Read(junk)
					s.wire.Write(junk)
					<-ctx.Done()
					return Exit{}
				}
			}},
	}
}

// pester sends global requests, with and without a wish for a reply, until the
// connection ends.
func pester(w *wire, c *ssh.ServerConn) {
	w.host.lab.running.Add(1)
	go func() {
		defer w.host.lab.running.Done()
		for i := 0; ; i++ {
			name := fmt.Sprintf("unasked-%d@lab", i)
			if _, _, err := c.SendRequest(name, i%2 == 1, []byte(noise)); err != nil {
				return
			}
			if !w.pause(100 * time.Millisecond) {
				return
			}
		}
	}()
}
