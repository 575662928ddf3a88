package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// pooled holds connections in a pool of sshpool.
type pooled struct {
	pool   *sshpool.Pool
	target sshpool.Target // without its address
}

func newPooled(o options) (*pooled, error) {
	index, err := hostkeys.Load(o.knownHosts)
	if err != nil {
		return nil, err
	}
	return &pooled{
		pool: sshpool.NewPool(sshpool.PoolConfig{}),
		target: sshpool.Target{
			User:     o.user,
			Auth:     &sshpool.Auth{Keys: []string{o.key}},
			HostKeys: &hostkeys.Policy{Index: index, Mode: hostkeys.Strict},
		},
	}, nil
}

func (p *pooled) open(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	t := p.target
	t.Address = host
	if t.Port, err = strconv.Atoi(port); err != nil {
		return err
	}
	conn, release, err := p.pool.Get(ctx, t)
	if err != nil {
		return err
	}
	defer release() // the pool keeps it open
	_, err = conn.Exec(ctx, "true", nil, nil)
	return err
}

func (p *pooled) Close() error { return errors.Join(p.pool.Close(), p.target.Auth.Close()) }

// bare holds clients of x/crypto/ssh.
type bare struct {
	config *ssh.ClientConfig

	mu      sync.Mutex
	clients []*ssh.Client
}

func newBare(o options) (*bare, error) {
	pem, err := os.ReadFile(o.key)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return nil, err
	}
	return &bare{config: &ssh.ClientConfig{
		User:            o.user,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}}, nil
}

func (b *bare) open(_ context.Context, addr string) error {
	client, err := ssh.Dial("tcp", addr, b.config)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.clients = append(b.clients, client)
	b.mu.Unlock()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	_, err = session.Output("true")
	return err
}

func (b *bare) Close() error {
	var all []error
	for _, c := range b.clients {
		all = append(all, c.Close())
	}
	return errors.Join(all...)
}
