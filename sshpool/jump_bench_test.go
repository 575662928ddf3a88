package sshpool

import (
	"context"
	"io"
	"testing"

	"fleet/internal/sshtest"
)

// BenchmarkJump runs a command on each of many hosts, 100 at once: directly, and
// through one real jump host that all share.
func BenchmarkJump(b *testing.B) {
	run := func(b *testing.B, targets []Target) {
		p := NewPool(PoolConfig{})
		defer p.Close()
		eachHost(b, targets, func(t Target) error {
			l, err := p.lease(context.Background(), t)
			if err != nil {
				return err
			}
			defer p.release(l, -1)
			_, err = l.conn.Exec(context.Background(), "hostname", io.Discard, io.Discard)
			return err
		})
	}
	b.Run("direct", func(b *testing.B) { run(b, remoteLab(b)) })
	b.Run("openssh", func(b *testing.B) {
		hop := hopOf(b, "bastion", sshtest.OpenSSH(b))
		targets := remoteLab(b)
		for i := range targets {
			targets[i].Jump = []Target{hop}
		}
		run(b, targets)
	})
}

// BenchmarkJumpOneByOne measures the latency that a jump host adds, both hosts
// being real servers and the jump host's connection kept.
func BenchmarkJumpOneByOne(b *testing.B) {
	direct := realTarget(b, sshtest.OpenSSH(b))
	jumped := direct
	jumped.Jump = []Target{hopOf(b, "bastion", sshtest.OpenSSH(b))}
	for name, target := range map[string]Target{"direct": direct, "jump": jumped} {
		b.Run(name, func(b *testing.B) {
			p := NewPool(PoolConfig{})
			defer p.Close()
			for b.Loop() {
				l, err := p.lease(context.Background(), target)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := l.conn.Exec(context.Background(), "true", nil, nil); err != nil {
					b.Fatal(err)
				}
				p.release(l, -1)
			}
		})
	}
}
