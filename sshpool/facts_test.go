package sshpool

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
	"fleet/internal/sshtest"
	"fleet/sshpool/hostkeys"
)

// factsTarget is a target for a host of a lab, by a name that is looked up.
func factsTarget(f *sshtest.Fleet, host string) Target {
	t := Target{Address: host, User: f.User(), Auth: &Auth{Keys: []string{f.KeyFile}}, HostKeys: &hostkeys.Policy{Mode: hostkeys.InsecureOff}}
	resolver := &sshtest.Resolver{Addrs: map[string][]netip.Addr{}, Delay: 20 * time.Millisecond}
	for _, h := range f.Hosts() {
		resolver.Addrs[h.Name] = []netip.Addr{netip.MustParseAddr(h.Address)}
		t.Port = h.Port
	}
	t.Resolver = resolver
	return t
}

func TestFacts(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"web01", "web02"}, Faults: map[string]lab.Fault{"web02": "deny-auth"}})
	c, err := Dial(context.Background(), factsTarget(f, "web01"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := c.Facts()
	host := f.Must(t, "web01")
	if len(got.Addresses) != 1 || got.Addresses[0].Addr().String() != host.Address || !strings.HasPrefix(got.KnownAs, "web01:") {
		t.Errorf("addresses %v, known as %q", got.Addresses, got.KnownAs)
	}
	if got.DNS < 20*time.Millisecond || got.TCP <= 0 || got.Banner <= 0 || got.Kex <= 0 || got.Auth <= 0 {
		t.Errorf("times %+v, want one for each stage", got)
	}
	if sum := got.TCP + got.Banner + got.Kex + got.Auth; sum > c.Took()+time.Second || sum < c.Took()/2 {
		t.Errorf("stages take %v together, the dial %v", sum, c.Took())
	}
	if !slices.Equal(got.Methods, []string{"publickey"}) || len(got.Keys) != 1 || !strings.Contains(got.Keys[0], f.KeyFile) {
		t.Errorf("login by %q with %q", got.Methods, got.Keys)
	}
	_, err = Dial(context.Background(), factsTarget(f, "web02"))
	got, ok := DialFacts(err)
	if !ok || len(got.Addresses) != 1 || got.Kex <= 0 || got.Auth <= 0 || len(got.Methods)+len(got.Keys) > 0 {
		t.Errorf("facts of %v: %+v, %v", err, got, ok)
	}
	_, err = Dial(context.Background(), factsTarget(f, "nosuch"))
	if got, ok := DialFacts(err); !ok || got.DNS < 20*time.Millisecond || got.TCP != 0 {
		t.Errorf("facts of %v: %+v, %v", err, got, ok)
	}
	if _, ok := DialFacts(errors.New("other")); ok {
		t.Error("facts of an error of no dial")
	}
}

func TestSFTPVersion(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"web01", "web02"}, Faults: map[string]lab.Fault{"web02": "no-sftp"}})
	for host, want := range map[string]Kind{"web01": "", "web02": KindPermission} {
		c, err := Dial(context.Background(), factsTarget(f, host))
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.SFTPVersion(context.Background())
		var e *Error
		errors.As(err, &e)
		switch {
		case want == "" && (err != nil || v != 3):
			t.Errorf("%s: version %d, %v", host, v, err)
		case want != "" && (e == nil || e.Kind != want):
			t.Errorf("%s: version %d, %v; want %s", host, v, err, want)
		}
		c.Close()
	}
}

func TestCountSessions(t *testing.T) {
	f := sshtest.Lab(t, lab.Config{Names: []string{"web01", "web02", "web03"},
		Faults: map[string]lab.Fault{"web02": "max-sessions=3", "web03": "refuse-channel"}})
	for host, want := range map[string]int{"web01": 5, "web02": 3, "web03": 0} {
		c, err := Dial(context.Background(), factsTarget(f, host))
		if err != nil {
			t.Fatal(err)
		}
		if n, refused, err := c.CountSessions(context.Background(), 5); err != nil || n != want || refused != (want < 5) {
			t.Errorf("%s: %d sessions, refused %v, %v; want %d", host, n, refused, err, want)
		}
		if want > 0 { // they are all closed again
			if _, err := c.Exec(context.Background(), "true", nil, nil); err != nil {
				t.Errorf("%s: command after the count: %v", host, err)
			}
			// The host may still count a session whose end it has told us.
			n, end := 0, time.Now().Add(10*time.Second)
			for n != want && err == nil && time.Now().Before(end) {
				n, _, err = c.CountSessions(context.Background(), want)
			}
			if err != nil || n != want {
				t.Errorf("%s: %d sessions at the second count, %v; want %d", host, n, err, want)
			}
		}
		c.Close()
	}
}

// TestFactsOfSteps logs in by a key and then a password that somebody takes
// his time to type.
func TestFactsOfSteps(t *testing.T) {
	t.Parallel()
	s := sshtest.OpenSSH(t, sshtest.Listen("127.0.0.1"), sshtest.Password("right"), sshtest.Config("AuthenticationMethods publickey,password"))
	const typing = 500 * time.Millisecond
	auth := &Auth{Keys: []string{s.KeyFile}, Password: func(context.Context) (string, error) {
		<-time.After(typing)
		return s.Password, nil
	}}
	c, err := Dial(context.Background(), Target{Address: s.Addresses[0], Port: s.Port, User: s.User, Auth: auth,
		HostKeys: &hostkeys.Policy{Mode: hostkeys.InsecureOff}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := c.Facts()
	if !slices.Equal(got.Methods, []string{"publickey", "password"}) || len(got.Keys) != 1 || !strings.Contains(got.Keys[0], s.KeyFile) {
		t.Errorf("login by %q with %q", got.Methods, got.Keys)
	}
	if got.Auth > c.Took()-typing {
		t.Errorf("login took %v of %v, with the typing", got.Auth, c.Took())
	}
}
