package transfer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// TestSFTPHostileNames pulls from a host whose SFTP server tells of names that
// lead elsewhere: they are refused, and nothing is written outside.
func TestSFTPHostileNames(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"h"}, Faults: map[string]lab.Fault{"h": "evil-names"}})
	known, err := hostkeys.Load(f.KnownHosts)
	if err != nil {
		t.Fatal(err)
	}
	auth := &sshpool.Auth{Keys: []string{f.KeyFile}}
	defer auth.Close()
	there := f.Must(t, "h")
	conn, err := sshpool.Dial(testContext(t), sshpool.Target{Address: there.Address, Port: there.Port, User: f.User(),
		Auth: auth, HostKeys: &hostkeys.Policy{Index: known}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	h := &host{t: t, conn: conn, dir: t.TempDir(), way: "sftp"}
	src := t.TempDir()
	write(t, src, map[string]string{"good": "1", "fine": "2"})
	h.mustPush(&Push{Sources: []string{src + "/"}, Dst: "/srv/s"})
	to := filepath.Join(h.dir, "in/out")
	did, told, err := h.pull(&Pull{Sources: []string{"/srv/s"}, Dir: to})
	var e *scheduler.Error
	if !errors.As(err, &e) || e.Cause.Kind != scheduler.KindUnsafe || did.Sent != 2 || did.Refused < 6 {
		t.Errorf("%+v, %v\n%s", did, err, told)
	}
	for _, line := range append(listing(t, h.dir), exists("/tmp/evil")...) {
		if strings.Contains(line, "evil") || strings.Contains(line, "nnn") {
			t.Errorf("here is %s", line)
		}
	}
}
