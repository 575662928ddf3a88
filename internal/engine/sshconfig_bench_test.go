package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fleet/inventory"
	"fleet/sshpool/sshconfig"
)

// largeConfig is an ssh_config of about 2,000 lines: blocks for single hosts,
// for patterns and for all.
func largeConfig(t testing.TB) *sshconfig.Config {
	var b strings.Builder
	for i := range 400 {
		fmt.Fprintf(&b, "Host host%05d\n HostName 10.0.%d.%d\n User user%d\n Port %d\n", i*25, i/250, i%250, i%7, 2000+i%3)
	}
	for i := range 90 {
		fmt.Fprintf(&b, "Host host%02d*\n IdentitiesOnly yes\n ServerAliveInterval %d\n", i, 10+i)
	}
	b.WriteString("Match user user3\n ForwardAgent no\nHost *\n SendEnv LANG LC_*\n HashKnownHosts yes\n UserKnownHostsFile /dev/null\n GlobalKnownHostsFile none\n")
	if n := strings.Count(b.String(), "\n"); n < 1850 {
		t.Fatalf("%d lines", n)
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := sshconfig.Load(nil, file)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func manyHosts(t testing.TB, n int) []*inventory.Host {
	inv, err := inventory.Parse("hosts.yaml", fmt.Appendf(nil, "hosts: {\"host[00000-%05d]\": }\n", n-1))
	if err != nil {
		t.Fatal(err)
	}
	return inv.Hosts()
}

func BenchmarkReach(b *testing.B) {
	a := Access{SSHConfig: largeConfig(b)}
	hosts := manyHosts(b, 10_000)
	b.ReportAllocs()
	for b.Loop() {
		t, err := a.Reach(b.Context(), hosts)
		if err != nil {
			b.Fatal(err)
		}
		t.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/host")
}

// TestReachIsFast resolves 10,000 hosts through 2,000 lines. The limit is
// generous: other programs may be at work.
func TestReachIsFast(t *testing.T) {
	a := Access{SSHConfig: largeConfig(t)}
	hosts := manyHosts(t, 10_000)
	began := time.Now()
	all, err := a.Reach(t.Context(), hosts)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if len(all.policies) != 1 || len(all.auths) > 3 {
		t.Errorf("%d policies, %d logins for equal hosts", len(all.policies), len(all.auths))
	}
}
