package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
	"fleet/sshpool/sshconfig"
)

// reached says how the hosts of an inventory are reached by an ssh_config, and
// what was warned of.
func reached(t *testing.T, config, hosts string, change func(*Access)) (*Targets, []string, error) {
	t.Helper()
	var warned []string
	a := Access{Warn: func(text string) { warned = append(warned, text) }}
	var err error
	if a.SSHConfig, err = sshconfig.Parse(nil, "config", config); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&a)
	}
	inv, err := inventory.Parse("hosts.yaml", []byte(hosts))
	if err != nil {
		t.Fatal(err)
	}
	all, err := a.Reach(t.Context(), inv.Hosts())
	if err == nil {
		t.Cleanup(func() { all.Close() })
	}
	return all, warned, err
}

// targetOf is the target of a host that must be reached without a warning.
func targetOf(t *testing.T, config, hosts, name string) sshpool.Target {
	t.Helper()
	all, warned, err := reached(t, config, hosts, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(warned) > 0 {
		t.Errorf("warned: %q", warned)
	}
	target, err := all.Target(name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestInventoryStandsAboveSSHConfig(t *testing.T) {
	config := "Host web1\n HostName of-config\n Port 7\n User conf\n ConnectTimeout 3\n HostKeyAlias al\nMatch user inv\n ConnectTimeout 4\n"
	got := targetOf(t, config, "hosts: {web1: }\n", "web1")
	if got.Address != "of-config" || got.Port != 7 || got.User != "conf" || got.Limits.Total != 3*time.Second || got.KnownAs != "al" {
		t.Errorf("by ssh_config: %+v", got)
	}
	got = targetOf(t, config, "hosts: {web1: {address: 10.0.0.1, port: 8, user: inv}}\n", "web1")
	if got.Address != "10.0.0.1" || got.Port != 8 || got.User != "inv" || got.Limits.Total != 3*time.Second {
		t.Errorf("by the inventory: %+v", got)
	}
	all, _, err := reached(t, config, "hosts: {web1: {port: 8, user: inv, connect_timeout: 5}}\n", func(a *Access) {
		a.User, a.Port, a.ConnectTimeout = "flag", 9, 6*time.Second
	})
	if err != nil {
		t.Fatal(err)
	}
	got, _ = all.Target("web1")
	if got.Address != "of-config" || got.Port != 9 || got.User != "flag" || got.Limits.Total != 6*time.Second {
		t.Errorf("by the flags: %+v", got)
	}
}

func TestTransportOfSSHConfig(t *testing.T) {
	t.Setenv("LC_FLEET_TEST", "x")
	t.Setenv("FLEET_TEST_SET", "of the environment")
	got := targetOf(t, "AddressFamily inet6\nBindAddress 127.0.0.9\nConnectionAttempts 4\nServerAliveInterval 7\nServerAliveCountMax 0\n"+
		"SetEnv FLEET_TEST_SET=1\nSendEnv LC_FLEET_* FLEET_TEST_SET\nCiphers +aes128-cbc\nMACs hmac-sha2-256\nKexAlgorithms -*nistp*\nHostKeyAlgorithms ^rsa-sha2-512\n",
		"hosts: {web1: }\n", "web1")
	if got.Family != "inet6" || got.BindAddress != "127.0.0.9" || got.Attempts != 4 || got.KeepaliveInterval != 7*time.Second || got.KeepaliveCount != 1 {
		t.Errorf("%+v", got)
	}
	if want := []string{"FLEET_TEST_SET=1", "LC_FLEET_TEST=x"}; !slices.Equal(got.OfferEnv, want) {
		t.Errorf("environment %q, want %q", got.OfferEnv, want)
	}
	a := got.Algorithms
	def := sshpool.DefaultAlgorithms()
	if !slices.Equal(a.Ciphers, append(def.Ciphers, "aes128-cbc")) || !slices.Equal(a.MACs, []string{"hmac-sha2-256"}) {
		t.Errorf("ciphers %q, MACs %q", a.Ciphers, a.MACs)
	}
	if len(a.KeyExchanges) == 0 || strings.Contains(strings.Join(a.KeyExchanges, ","), "nistp") || len(a.KeyExchanges) >= len(def.KeyExchanges) {
		t.Errorf("key exchanges %q", a.KeyExchanges)
	}
	if a.HostKeys[0] != "rsa-sha2-512" || len(a.HostKeys) != len(def.HostKeys) {
		t.Errorf("host keys %q", a.HostKeys)
	}
	if off := targetOf(t, "ServerAliveInterval 0\n", "hosts: {web1: }\n", "web1"); off.KeepaliveInterval >= 0 {
		t.Errorf("keepalive %v where it is to be off", off.KeepaliveInterval)
	}
	if plain := targetOf(t, "", "hosts: {web1: }\n", "web1"); plain.Algorithms.Ciphers != nil || plain.Family != "" || plain.OfferEnv != nil || plain.KeepaliveInterval != 0 {
		t.Errorf("without ssh_config: %+v", plain)
	}
}

func TestUnknownAlgorithms(t *testing.T) {
	_, warned, err := reached(t, "Ciphers aes256-ctr,rot13,none*\n", "hosts: {web1: , web2: }\n", nil)
	if want := []string{"config:1: Ciphers: not known here and left out: rot13,none*"}; err != nil || !slices.Equal(warned, want) {
		t.Errorf("%v, %q", err, warned)
	}
	_, _, err = reached(t, "\nMACs rot13\n", "hosts: {web1: }\n", nil)
	wantMistake(t, err, `host web1: config:2: MACs: algorithms "rot13": none is supported`, "known here: ")
}

// wantMistake wants an error of that text and a hint that holds another.
func wantMistake(t *testing.T, err error, text, hint string) {
	t.Helper()
	if err == nil || err.Error() != text {
		t.Errorf("%v, want %s", err, text)
		return
	}
	var way interface{ Hint() string }
	if !errors.As(err, &way) || !strings.Contains(way.Hint(), hint) {
		t.Errorf("%v: hint %v, want %s", err, way, hint)
	}
}

func TestSession(t *testing.T) {
	all, _, err := reached(t, "Host web1\n RequestTTY force\n ForwardAgent yes\nHost web2\n ForwardAgent /x\n LogLevel QUIET\n", "hosts: {web1: , web2: , web3: }\n",
		func(a *Access) { a.Agent = "/agent" })
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]Session{
		"web1": {TTY: "force", ForwardAgent: "/agent", LogLevel: "INFO"},
		"web2": {TTY: "auto", ForwardAgent: "/x", LogLevel: "SILENT"},
		"web3": {TTY: "auto", LogLevel: "INFO"},
	} {
		if got, err := all.Session(name); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	if _, err := all.Session("other"); err == nil {
		t.Error("a session on a host that is not part of it")
	}
}

// TestLogLevel wants warnings about hosts that are to be quiet kept from the
// user unless another host has them too, and DEBUG to turn on the log of a host.
func TestLogLevel(t *testing.T) {
	hosts := "hosts: {web1: , web2: }\n"
	quiet := "Host web1\n LogLevel ERROR\n IdentityFile /one\nHost web2\n IdentityFile /two\nHost *\n Ciphers +rot13\n"
	log := slog.New(slog.DiscardHandler)
	_, warned, err := reached(t, quiet, hosts, nil)
	want := []string{"config:7: Ciphers: not known here and left out: rot13", "config:5: key /two: no such file; it is not used"}
	if err != nil || !slices.Equal(warned, want) {
		t.Errorf("%v, warned %q, want %q", err, warned, want)
	}
	if _, warned, err = reached(t, quiet, hosts, func(a *Access) { a.Talkative = true }); err != nil || len(warned) != 3 {
		t.Errorf("talkative: %v, warned %q, want all three", err, warned)
	}
	if _, warned, err = reached(t, "LogLevel quiet\n"+quiet, hosts, nil); err != nil || len(warned) != 0 {
		t.Errorf("all quiet: %v, warned %q", err, warned)
	}
	all, _, err := reached(t, "Host web1\n LogLevel debug2\nHost web2\n LogLevel verbose\n", hosts, func(a *Access) { a.HostLog = log })
	if err != nil {
		t.Fatal(err)
	}
	if one, two := all.byName["web1"], all.byName["web2"]; one.Log != log || two.Log != nil {
		t.Errorf("logs of web1 %v, of web2 %v", one.Log, two.Log)
	}
}

func TestSharedLoginsAndPolicies(t *testing.T) {
	all, _, err := reached(t, "Host web1*\n UserKnownHostsFile /dev/null\n HashKnownHosts yes\n IdentityAgent none\nHost web2*\n StrictHostKeyChecking accept-new\nHost *\n GlobalKnownHostsFile none\n",
		"hosts: {\"web[10-12]\": , \"web[20-22]\": }\n", func(a *Access) { a.Agent = "/agent" })
	if err != nil {
		t.Fatal(err)
	}
	one, two, three := all.byName["web10"], all.byName["web12"], all.byName["web20"]
	if one.Auth != two.Auth || one.HostKeys != two.HostKeys {
		t.Error("equal hosts do not share")
	}
	if one.Auth == three.Auth || one.HostKeys == three.HostKeys {
		t.Error("unequal hosts share")
	}
	p, q := one.HostKeys.(*hostkeys.Policy), three.HostKeys.(*hostkeys.Policy)
	if p.File != "/dev/null" || !p.Hash || p.Mode != hostkeys.Strict || q.Mode != hostkeys.AcceptNew || q.Hash {
		t.Errorf("%+v, %+v", p, q)
	}
	if one.Auth.AgentSocket != "" || three.Auth.AgentSocket != "/agent" {
		t.Errorf("agents %q, %q", one.Auth.AgentSocket, three.Auth.AgentSocket)
	}
}

// TestUnknownJumpHost asks the name service for a name that nothing explains.
func TestUnknownJumpHost(t *testing.T) {
	names := nameList{"bare": true}
	ask := func(config, hosts string) error {
		_, _, err := reached(t, config, hosts, func(a *Access) { a.names = names })
		return err
	}
	for _, known := range []string{"bare", "10.0.0.1", "at.example", "u@::1"} {
		if err := ask("ProxyJump none\n", "hosts: {web1: {jump: [\""+known+"\"]}}\n"); err != nil {
			t.Errorf("%s: %v", known, err)
		}
	}
	if err := ask("Host typo\n HostName 10.0.0.1\n", "hosts: {web1: {jump: [typo]}}\n"); err != nil {
		t.Errorf("known to ssh_config: %v", err)
	}
	if err := ask("", "hosts: {web1: {jump: [bare, typo]}}\n"); err != nil {
		t.Errorf("only bare can know that name: %v", err)
	}
	wantMistake(t, ask("", "hosts: {web1: {jump: [typo]}}\n"),
		`host web1: hosts.yaml:1: unknown jump host "typo": neither in the inventory nor in ssh_config, and no such host`, "give it an entry under hosts:")
}

// nameList is a resolver that knows some names.
type nameList map[string]bool

func (l nameList) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if l[host] {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestWithoutEffectIsWarnedOf(t *testing.T) {
	_, warned, err := reached(t, "RevokedHostKeys none\nBindInterface lo\nHost web2\n StrictHostKeyChecking off\n", "hosts: {web1: , web2: , web3: }\n", nil)
	want := []string{"config:2: BindInterface has no effect here", "config:4: StrictHostKeyChecking no is not followed"}
	if err != nil || len(warned) != len(want) {
		t.Fatalf("%v, %q", err, warned)
	}
	for i := range want {
		if !strings.HasPrefix(warned[i], want[i]) {
			t.Errorf("%q, want %q", warned[i], want[i])
		}
	}
	_, _, err = reached(t, "BindAddress web1\n", "hosts: {web1: }\n", nil)
	wantMistake(t, err, `host web1: config:1: BindAddress "web1" is no IP address`, "write the address itself")
}

// TestRevokedHostKeys has the keys in the file refused, by known_hosts and by the
// inventory, and no host reached where it cannot be read.
func TestRevokedHostKeys(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIAqEtn2eyzQN7zWJCTcLeLmWSdXGKVxbf1FUERdmpT2"
	pub, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"web1.revoked": key + "\n", "web2.revoked": "# none\n", "known_hosts": "web1,web2 " + key + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := "RevokedHostKeys " + dir + "/%n.revoked\nUserKnownHostsFile " + dir + "/known_hosts\n"
	for _, hosts := range []string{"hosts: {web1: , web2: }\n", "hosts: {web1: , web2: }\ndefaults: {hostkey: " + key + "}\n"} {
		all, warned, err := reached(t, config, hosts, nil)
		if err != nil || len(warned) > 0 {
			t.Fatalf("%v, %q", err, warned)
		}
		for name, want := range map[string]string{"web1": "revoked", "web2": ""} {
			target, err := all.Target(name)
			if err != nil {
				t.Fatal(err)
			}
			var refused *hostkeys.Error
			if errors.As(target.HostKeys.Check(target.HostKeyAddr(), nil, pub), &refused) != (want != "") || want != "" && refused.HostKeyReason() != want {
				t.Errorf("%s: %v, want %q", name, refused, want)
			}
		}
	}
	_, _, err = reached(t, config, "hosts: {web3: }\n", nil)
	wantMistake(t, err, "host web3: config:1: RevokedHostKeys: open "+dir+"/web3.revoked: no such file or directory", "it takes public keys")
}

// TestDemandsOnHostKeys hands on what ssh_config asks of host keys and authorities.
func TestDemandsOnHostKeys(t *testing.T) {
	all, warned, err := reached(t, "Host web1\n RequiredRSASize 3072\nHost web2\n CASignatureAlgorithms ssh-ed25519,rot13\nHost web3\n CASignatureAlgorithms -rsa-*\n",
		"hosts: {web1: , web2: , web3: }\n", nil)
	if err != nil || len(warned) != 1 || warned[0] != "config:4: CASignatureAlgorithms: not known here and left out: rot13" {
		t.Fatalf("%v, %q", err, warned)
	}
	for name, want := range map[string]struct {
		bits int
		by   string
	}{
		"web1": {3072, "[]"}, "web2": {1024, "[ssh-ed25519]"},
		"web3": {1024, "[ssh-ed25519 ecdsa-sha2-nistp256 ecdsa-sha2-nistp384 ecdsa-sha2-nistp521 sk-ssh-ed25519@openssh.com sk-ecdsa-sha2-nistp256@openssh.com]"},
	} {
		target, err := all.Target(name)
		if err != nil {
			t.Fatal(err)
		}
		p, ok := target.HostKeys.(*hostkeys.Policy)
		if !ok || p.MinRSA != want.bits || fmt.Sprint(p.CAAlgorithms) != want.by {
			t.Errorf("%s: %+v, want %+v", name, p, want)
		}
	}
	_, _, err = reached(t, "CASignatureAlgorithms rot13\n", "hosts: {web1: }\n", nil)
	wantMistake(t, err, `host web1: config:1: CASignatureAlgorithms: algorithms "rot13": none is supported`, "known here: ssh-ed25519,")
}

// TestLoginOfSSHConfig reads what is offered at login off the Auth.
func TestLoginOfSSHConfig(t *testing.T) {
	dir := t.TempDir()
	cert := filepath.Join(dir, "cert.pub")
	if err := os.WriteFile(cert, []byte("not read before the login"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := "Host web1\n PreferredAuthentications gssapi-with-mic,password,publickey\n KbdInteractiveAuthentication no\n PubkeyAcceptedAlgorithms ssh-ed25519,rot13\n CertificateFile " + dir + "/nosuch\n" +
		"Host web2\n PasswordAuthentication no\n"
	r, err := newResolver(t.Context(), Access{SSHConfig: parsed(t, config)})
	if err != nil {
		t.Fatal(err)
	}
	auth := func(name string, s inventory.Settings) *sshpool.Auth {
		s.Address = name
		target, _, err := r.resolve(&inventory.Host{Name: name, Settings: s})
		if err != nil {
			t.Fatal(err)
		}
		return target.Auth
	}
	one := auth("web1", inventory.Settings{})
	if !slices.Equal(one.Methods, []string{"password", "publickey"}) || !slices.Equal(one.KeyAlgorithms, []string{"ssh-ed25519"}) || len(one.Certificates) != 0 {
		t.Errorf("%q, %q, %q", one.Methods, one.KeyAlgorithms, one.Certificates)
	}
	if want := []string{"config:4: PubkeyAcceptedAlgorithms: not known here and left out: rot13", "config:5: certificate " + dir + "/nosuch: no such file; it is not used"}; !slices.Equal(slices.Sorted(slices.Values(r.warnings)), want) {
		t.Errorf("warned %q", r.warnings)
	}
	if two := auth("web2", inventory.Settings{}); !slices.Equal(two.Methods, []string{"publickey", "keyboard-interactive"}) {
		t.Errorf("%q", two.Methods)
	}
	if three := auth("web3", inventory.Settings{Certificate: []string{cert}}); three.Methods != nil || three.KeyAlgorithms != nil || !slices.Equal(three.Certificates, []string{cert}) {
		t.Errorf("%q, %q, %q", three.Methods, three.KeyAlgorithms, three.Certificates)
	}
	_, _, err = reached(t, "PreferredAuthentications gssapi-with-mic\n", "hosts: {web1: }\n", nil)
	wantMistake(t, err, "host web1: config:1: no way to log in is left of gssapi-with-mic", "there are publickey, password and keyboard-interactive")
}

func parsed(t *testing.T, text string) *sshconfig.Config {
	t.Helper()
	c, err := sshconfig.Parse(nil, "config", text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestSecretsAreNotForJumpHosts looks at the logins of a host and its jump host.
func TestSecretsAreNotForJumpHosts(t *testing.T) {
	all, _, err := reached(t, "Host gate\n HostName 10.0.0.9\n", "hosts: {web1: {jump: [ann@gate]}}\n", func(a *Access) {
		a.User, a.Port = "bob", 7
		a.Password = func(context.Context) (string, error) { return "secret", nil }
		a.Answers = []sshpool.Answer{{Text: "secret"}}
	})
	if err != nil {
		t.Fatal(err)
	}
	web, _ := all.Target("web1")
	gate := web.Jump[0]
	if web.Auth.Password == nil || len(web.Auth.Answers) != 1 || web.User != "bob" || web.Port != 7 {
		t.Errorf("host: %+v", web)
	}
	if gate.Auth.Password != nil || len(gate.Auth.Answers) != 0 || gate.User != "ann" || gate.Port != 22 || gate.Name != "gate" || gate.Address != "10.0.0.9" {
		t.Errorf("jump host: %+v", gate)
	}
}
