// Package sshtest gives tests SSH servers to talk to. It is for tests only.
//
//   - Lab starts an embedded fleet (internal/lab), with faults and round-trip
//     times, and writes its inventory, key and known_hosts.
//   - OpenSSH and Dropbear start the real servers of those names on loopback.
//   - BlackHole is an address whose connects are never answered; Resolver is a
//     name service that answers late or never.
//   - Leaks is the TestMain of packages that must leave nothing behind.
package sshtest

import (
	"context"
	"testing"

	"fleet/internal/lab"
)

// Fleet is an embedded fleet that ends with its test. Its files are written.
type Fleet struct {
	*lab.Lab
	Dir        string // holds the files
	Inventory  string // hosts.yaml
	KeyFile    string
	KnownHosts string
}

// Lab starts an embedded fleet and writes its files to a folder of the test.
func Lab(t testing.TB, cfg lab.Config) *Fleet {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	l, err := lab.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.WriteFiles(); err != nil {
		t.Fatal(err)
	}
	return &Fleet{
		Lab: l, Dir: cfg.Dir,
		Inventory: l.InventoryFile(), KeyFile: l.KeyFile(), KnownHosts: l.KnownHostsFile(),
	}
}

// Must finds a host by name and fails the test if there is none.
func (f *Fleet) Must(t testing.TB, name string) *lab.Host {
	t.Helper()
	h := f.Host(name)
	if h == nil {
		t.Fatalf("no host %q in the lab", name)
	}
	return h
}
