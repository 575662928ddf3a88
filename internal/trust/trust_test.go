package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

func TestMain(m *testing.M) { sshtest.Leaks(m) }

// sink drops the events of a run but for what became of each host.
type sink struct{ outcomes map[string]scheduler.Outcome }

func (s *sink) Start(event.Run)            { s.outcomes = map[string]scheduler.Outcome{} }
func (s *sink) Started(string, time.Time)  {}
func (s *sink) Output(event.Output)        {}
func (s *sink) Result(r event.Result)      { s.outcomes[r.Host] = r.Outcome }
func (s *sink) Finish(event.Summary) error { return nil }
func fakeKey(n int) ssh.PublicKey {
	var raw [32]byte
	binary.BigEndian.PutUint64(raw[:], uint64(n))
	key, err := ssh.NewPublicKey(ed25519.PublicKey(raw[:]))
	if err != nil {
		panic(err)
	}
	return key
}

func line(names string, key ssh.PublicKey) string {
	return names + " " + string(ssh.MarshalAuthorizedKey(key))
}

// load reads an inventory.
func load(t *testing.T, file string) []*inventory.Host {
	t.Helper()
	inv, err := inventory.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := inv.Select("all")
	if err != nil {
		t.Fatal(err)
	}
	return hosts
}

// access is how the tests' hosts are reached: by nothing of this machine.
func access() engine.Access { return engine.Access{} }

// TestScanLab scans 200 hosts of all states, and the whole lab sees one
// connection a host and no login.
func TestScanLab(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{N: 200, Prefix: "n", Faults: map[string]lab.Fault{
		"n001": "unknown-key", "n002": "wrong-key", "n003": "refuse", "n005": "unknown-key"}})
	known, err := os.OpenFile(f.KnownHosts, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	fmt.Fprint(known, line("@revoked *", f.Must(t, "n004").HostKey))
	var s sink
	r, sum, err := Scan(t.Context(), Request{Access: access(), Hosts: load(t, f.Inventory), Fanout: 50}, &s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[State]int{Known: 195, New: 2, Changed: 1, Revoked: 1}
	got := Count(r.Keys)
	for _, state := range States {
		if got[state] != want[state] {
			t.Errorf("%d hosts are %s, want %d", got[state], state, want[state])
		}
	}
	if len(r.Unanswered) != 1 || r.Unanswered[0].Host != "n003" || r.Unanswered[0].Cause.Kind != scheduler.KindRefused {
		t.Errorf("unanswered: %+v", r.Unanswered)
	}
	if sum.Counts[scheduler.OK] != 199 || sum.Counts[scheduler.Unreachable] != 1 || len(s.outcomes) != 200 {
		t.Errorf("summary %+v of %d results", sum, len(s.outcomes))
	}
	if st := f.Stats(); st.Accepted != 199 || st.Attempts != 0 || st.Logins != 0 {
		t.Errorf("%d connections, %d attempts, %d logins; want 199, 0, 0", st.Accepted, st.Attempts, st.Logins)
	}
	last := Groups(r.Keys)
	if g := last[len(last)-1]; g.State != Changed || !slices.Equal(g.Hosts, []string{"n002"}) || len(g.Refusal.Known) != 1 {
		t.Errorf("the last group is %+v, want the changed key of n002", g)
	}
	if shared := SharedKeys(r.Keys); len(shared) != 0 {
		t.Errorf("shared keys: %+v", shared)
	}
}

// TestScanOrder asks those first that the caller wants to know of.
func TestScanOrder(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{N: 6, Prefix: "n", Faults: map[string]lab.Fault{"n04": "unknown-key", "n06": "unknown-key"}})
	for first, want := range map[bool]string{false: "n04 n06 n01 n02 n03 n05", true: "n01 n02 n03 n05 n04 n06"} {
		reach, err := Reach(t.Context(), access(), load(t, f.Inventory))
		if err != nil {
			t.Fatal(err)
		}
		defer reach.Close()
		s := &scan{req: Request{Hosts: load(t, f.Inventory), KnownFirst: first}, reach: reach}
		got, err := s.order()
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("known first %v: %v, %v; want %s", first, got, err, want)
		}
	}
}

// certServer is a real sshd with a host certificate for the given names.
func certServer(t *testing.T, principals string) (s *sshtest.Server, ca ssh.PublicKey) {
	t.Helper()
	dir := t.TempDir()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	// sshd wants the certificate when it starts, and reads the key of the test's
	// server: so that key is made here, too, and comes first.
	_, host, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hostSigner, err := ssh.NewSignerFromKey(host)
	if err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: hostSigner.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: strings.Split(principals, ","), ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	key, cer := filepath.Join(dir, "host"), filepath.Join(dir, "host-cert.pub")
	writeKey(t, key, host)
	if err := os.WriteFile(cer, ssh.MarshalAuthorizedKey(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	return sshtest.OpenSSH(t, sshtest.Config("HostKey "+key), sshtest.Config("HostCertificate "+cer)), signer.PublicKey()
}

// TestScanCertificates shows hosts that an authority vouches for as known by
// it, and those that it does not as not valid, and approves neither.
func TestScanCertificates(t *testing.T) {
	s, ca := certServer(t, "127.0.0.1,127.0.0.2")
	dir := t.TempDir()
	known, inv := filepath.Join(dir, "known_hosts"), filepath.Join(dir, "hosts.yaml")
	write(t, known, line("@cert-authority *", ca))
	write(t, inv, fmt.Sprintf("defaults: {port: %d, known_hosts: %q}\nhosts:\n  good[1-2]: {address: \"127.0.0.[1-2]\"}\n  bad: {address: 127.0.0.3}\n", s.Port, known))
	r, _, err := Scan(t.Context(), Request{Access: access(), Hosts: load(t, inv), Fanout: 4}, &sink{})
	if err != nil {
		t.Fatal(err)
	}
	groups := Groups(r.Keys)
	if len(groups) != 2 || groups[0].State != Known || groups[0].Authority != ssh.FingerprintSHA256(ca) || len(groups[0].Hosts) != 2 || groups[1].State != Invalid {
		t.Fatalf("groups: %+v", groups)
	}
	var b bytes.Buffer
	if err := (View{}).Write(&b, groups); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"known    by " + ssh.FingerprintSHA256(ca) + " ED25519-CERT  good[1-2]\n",
		"ED25519-CERT  bad\n         host certificate is for other names: principals \"127.0.0.1\", \"127.0.0.2\", authority " + ssh.FingerprintSHA256(ca),
		known + ":1",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if done, err := Approve(r.Keys); err != nil || len(done.Written) != 0 {
		t.Errorf("approved %+v, %v", done, err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestApproveRace refuses what somebody else has written otherwise meanwhile.
func TestApproveRace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	index, err := hostkeys.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	policy := &hostkeys.Policy{Index: index, File: file}
	key := func(host string, n int) Key {
		return Key{Host: host, Addr: host + ":22", Key: fakeKey(n), State: New, policy: policy}
	}
	twin := key("a", 1) // another host at the same address
	twin.Host = "a2"
	write(t, file, line("b", fakeKey(9)))
	done, err := Approve([]Key{key("a", 1), key("b", 2), twin, {Host: "c", Addr: "c:22", Key: fakeKey(3), State: Changed, policy: policy}})
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Written) != 2 || done.Written[0].Host != "a" || done.Written[1].Host != "a2" || len(done.Refused) != 1 || done.Refused[0].Host != "b" {
		t.Errorf("%+v", done)
	}
	text, err := os.ReadFile(file)
	if want := line("b", fakeKey(9)) + line("a", fakeKey(1)); err != nil || string(text) != want {
		t.Errorf("the file has %q, want %q", text, want)
	}
	if _, err := Approve([]Key{{Host: "a", Addr: "a:22", Key: fakeKey(1), State: New, policy: &hostkeys.Policy{File: "/proc/nosuch/file"}}}); err == nil {
		t.Error("no error for a file that cannot be written")
	} else if pathErr := (*os.PathError)(nil); !errors.As(err, &pathErr) {
		t.Errorf("error %v names no file", err)
	}
}

// A connection that was canceled is no host that does not answer.
func TestOutcomeOfCanceled(t *testing.T) {
	for kind, want := range map[sshpool.Kind]scheduler.Outcome{
		sshpool.KindCanceled: scheduler.Canceled, sshpool.KindRefused: scheduler.Unreachable,
	} {
		var got *scheduler.Error
		if err := outcome(&sshpool.Error{Kind: kind, Text: "so"}); !errors.As(err, &got) || got.Outcome != want {
			t.Errorf("%s: %v, want %s", kind, err, want)
		}
	}
}
