package facts

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/inventory"
)

func host(name string) *inventory.Host {
	return &inventory.Host{Name: name, Settings: inventory.Settings{Address: name, Port: 22}}
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state", "facts")
	now := time.Now().Round(0)
	web, other := host("web01"), host("web01")
	other.Address = "10.0.0.9"
	if f, err := Open(dir).Get(web); f != nil || err != nil {
		t.Fatalf("of an empty store: %v, %v", f, err)
	}
	put := func(h *inventory.Host, f *Facts) {
		t.Helper()
		if err := Open(dir).Put([]*inventory.Host{h}, map[string]*Facts{h.Name: f}); err != nil {
			t.Fatal(err)
		}
	}
	put(web, &Facts{At: now, OS: "debian"})
	put(web, &Facts{At: now.Add(-time.Hour), OS: "older"}) // another process was slower
	if f, err := Open(dir).Get(web); err != nil || f == nil || f.OS != "debian" || !f.At.Equal(now) {
		t.Errorf("got %+v, %v", f, err)
	}
	if f, _ := Open(dir).Get(other); f != nil {
		t.Errorf("a host of the same name elsewhere is %+v", f)
	}
	put(other, &Facts{At: now.Add(keepFor + time.Hour), OS: "alpine"})
	if f, _ := Open(dir).Get(web); f != nil {
		t.Errorf("facts that are too old to be kept: %+v", f)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		info, err2 := d.Info()
		if err != nil || err2 != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v, %v", path, info.Mode(), err, err2)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What cannot be read of a cache is not there; a folder that cannot be used is
// an error.
func TestStoreBroken(t *testing.T) {
	dir := t.TempDir()
	h := host("web01")
	if err := Open(dir).Put([]*inventory.Host{h}, map[string]*Facts{"web01": {At: time.Now(), OS: "debian"}}); err != nil {
		t.Fatal(err)
	}
	file := Open(dir).file(keyOf(h).shard())
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	broken := "{\"host\":\n" + strings.Repeat("x", 2*maxLine) + "\n\x00\n" + string(text) + string(text[:len(text)/2])
	if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(dir).Get(h); err != nil || f == nil || f.OS != "debian" {
		t.Errorf("got %+v, %v", f, err)
	}
	blocked := filepath.Join(dir, "file", "facts")
	if err := os.WriteFile(filepath.Dir(blocked), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Open(blocked).Put([]*inventory.Host{h}, map[string]*Facts{"web01": {}}); err == nil || !strings.Contains(err.Error(), "keep facts: ") {
		t.Errorf("put into a file: %v", err)
	}
	if err := Open("").Put([]*inventory.Host{h}, map[string]*Facts{"web01": {}}); err == nil || !strings.Contains(err.Error(), "no folder") {
		t.Errorf("put into no folder: %v", err)
	}
	if f, err := Open("").Get(h); f != nil || err != nil {
		t.Errorf("get from no folder: %v, %v", f, err)
	}
}

// Several writers lose nothing of each other's.
func TestStoreTogether(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			s := Open(dir) // as a process of its own
			for i := range 10 {
				h := host(fmt.Sprintf("w%d-%d", w, i))
				if err := s.Put([]*inventory.Host{h}, map[string]*Facts{h.Name: {At: time.Now(), OS: h.Name}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s := Open(dir)
	for w := range 8 {
		for i := range 10 {
			h := host(fmt.Sprintf("w%d-%d", w, i))
			if f, err := s.Get(h); err != nil || f == nil || f.OS != h.Name {
				t.Errorf("%s: %+v, %v", h.Name, f, err)
			}
		}
	}
}

func TestLookup(t *testing.T) {
	s := Open(t.TempDir())
	now := time.Now()
	hosts := []*inventory.Host{host("new"), host("old"), host("none")}
	err := s.Put(hosts, map[string]*Facts{"new": {At: now.Add(-time.Hour), OS: "debian"}, "old": {At: now.Add(-30 * time.Hour), OS: "debian"}})
	if err != nil {
		t.Fatal(err)
	}
	day := &Lookup{Store: s, MaxAge: MaxAge, Now: now}
	if v, err := day.Fact(hosts[0], "os"); v != "debian" || err != nil {
		t.Errorf("new: %v, %v", v, err)
	}
	if v, err := day.Fact(hosts[0], "virt"); v != nil || err != nil {
		t.Errorf("virt of new: %v, %v", v, err)
	}
	for _, h := range hosts[1:] {
		if v, err := day.Fact(h, "os"); err == nil || err.Error() != "no facts younger than 24h" {
			t.Errorf("%s: %v, %v", h.Name, v, err)
		}
	}
	ever := &Lookup{Store: s, Now: now}
	if v, err := ever.Fact(hosts[1], "os"); v != "debian" || err != nil {
		t.Errorf("old at any age: %v, %v", v, err)
	}
	if _, err := ever.Fact(hosts[2], "os"); err == nil || err.Error() != "no facts" {
		t.Errorf("none at any age: %v", err)
	}
}

func BenchmarkStore(b *testing.B) {
	dir := b.TempDir()
	up := Seconds(1)
	found := make(map[string]*Facts)
	var hosts []*inventory.Host
	for i := range 100_000 {
		h := host(fmt.Sprintf("web%06d", i))
		hosts = append(hosts, h)
		found[h.Name] = &Facts{At: time.Now(), Hostname: h.Name, OS: "debian", OSVersion: "12", OSName: "Debian GNU/Linux 12 (bookworm)", OSLike: []string{}, System: "Linux",
			Kernel: "6.1.0-31-amd64", Arch: "x86_64", CPUs: 4, CPUModel: "AMD EPYC", Memory: &Memory{8 << 30, 4 << 30, 0}, Disks: []Disk{{"vda", 50 << 30}},
			Filesystems: []Filesystem{{"/", "/dev/vda1", 50 << 30, 20 << 30}}, Addresses: []Address{{"eth0", "10.0.0.1", 8}}, Virt: "kvm", Packages: "apt", Services: "systemd",
			Uptime: &up, Missing: []string{}}
	}
	if err := Open(dir).Put(hosts, found); err != nil {
		b.Fatal(err)
	}
	b.Run("load=100000", func(b *testing.B) {
		for b.Loop() {
			s := Open(dir)
			for _, h := range hosts {
				if f, err := s.Get(h); f == nil || err != nil {
					b.Fatal(h.Name, err)
				}
			}
		}
	})
}
