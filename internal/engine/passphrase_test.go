package engine

import (
	"context"
	"testing"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/sshpool"
)

// lockedRequest is one whose key is behind a passphrase, and how often that was
// asked for.
func lockedRequest(t *testing.T, f *sshtest.Fleet, hosts ...*lab.Host) (Request, *int) {
	t.Helper()
	req := ask(f, "true", hosts...)
	req.Keys = []string{lockKey(t, f, canary)}
	asked := new(int)
	req.Passphrase = func(context.Context, string) ([]byte, error) {
		*asked++
		return []byte(canary), nil
	}
	return req, asked
}

// TestPassphraseOfSeveralLogins asks once for a key that hosts log in by in
// different ways.
func TestPassphraseOfSeveralLogins(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{N: 4})
	req, asked := lockedRequest(t, f, f.Hosts()...)
	req.Hosts[1].Settings.Password = inventory.NewSecret("one")
	req.Hosts[2].Settings.Password = inventory.NewSecret("two")
	if c := secretly(t, req); c.summary.Counts[okay] != 4 || *asked != 1 {
		t.Errorf("asked %d times, want once: %v", *asked, c.causes())
	}
}

// TestPassphraseOfKeptRuns asks once for a key that later runs log in by to
// other hosts, and again where it was not told.
func TestPassphraseOfKeptRuns(t *testing.T) {
	leaves(t)
	f := sshtest.Lab(t, lab.Config{N: 4})
	req, asked := lockedRequest(t, f, f.Hosts()...)
	right := req.Passphrase
	req.Passphrase = func(ctx context.Context, file string) ([]byte, error) {
		if *asked < 3 {
			*asked++
			return []byte("wrong"), nil
		}
		return right(ctx, file)
	}
	kept := Keep(req.Access, 0)
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := kept.Reach(context.Background(), req.Hosts[:1]); err == nil {
		t.Error("the key opened")
	}
	for i := range req.Hosts {
		if err := kept.Reach(context.Background(), req.Hosts[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if *asked != 4 {
		t.Errorf("asked %d times, want 3 times in vain and once more", *asked)
	}
	for _, h := range req.Hosts {
		target, err := kept.targets.Target(h.Name)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := sshpool.Dial(context.Background(), target)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}
