package hostkeys

import (
	"os/exec"
	"strings"
	"testing"
)

func TestAdd(t *testing.T) {
	line := func(names string, n int) string { return names + " " + authorizedKey(fakeKey(n)) }
	ec, rsa := ecdsaKey(t), rsaKey(t)
	file := knownHosts(t, line("known", 1), line("other", 2), line("@revoked *", 9), line("@cert-authority signed", 8))
	p := &Policy{Index: load(t, file), File: file}
	// Written since the index was loaded, by somebody else.
	q := &Policy{Mode: AcceptNew, Index: load(t, file), File: file}
	if err := q.Check("late:22", nil, fakeKey(7)); err != nil {
		t.Fatal(err)
	}
	keys := []HostKey{
		{Addr: "new:22", Key: fakeKey(3)},
		{Addr: "new:22", Key: ec},
		{Addr: "port:2222", Key: fakeKey(4)},
		{Addr: "known:22", Key: fakeKey(1)},
		{Addr: "other:22", Key: fakeKey(5)},
		{Addr: "other:22", Key: fakeKey(5), Beside: true},
		{Addr: "known:22", Key: ec},
		{Addr: "known:22", Key: rsa, Beside: true},
		{Addr: "late:22", Key: fakeKey(6)},
		{Addr: "evil:22", Key: fakeKey(9)},
		{Addr: "signed:22", Key: fakeKey(3)},
		{Addr: "a,b:22", Key: fakeKey(3)},
	}
	want := []Reason{"", "", "", "", ReasonChanged, ReasonChanged, ReasonChanged, "", ReasonChanged, ReasonRevoked, ReasonCert, ReasonUnknown}
	before := readText(t, file)
	refused, err := p.Add(keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range refused {
		if r == nil && want[i] != "" || r != nil && r.Reason != want[i] {
			t.Errorf("%s: %v, want %q", keys[i].Addr, r, want[i])
		}
	}
	added := strings.TrimPrefix(readText(t, file), before)
	if w := line("new", 3) + "\nnew " + authorizedKey(ec) + "\n" + line("[port]:2222", 4) + "\nknown " + authorizedKey(rsa) + "\n"; added != w {
		t.Errorf("added %q, want %q", added, w)
	}
	for i, k := range keys {
		if err := p.Check(k.Addr, nil, k.Key); (err == nil) != (want[i] == "") {
			t.Errorf("after that, %s: %v", k.Addr, err)
		}
	}
}

// TestAddHashed writes names that ssh-keygen finds, and nobody reads.
func TestAddHashed(t *testing.T) {
	file := knownHosts(t)
	p := &Policy{Index: load(t, file), File: file, Hash: true}
	if refused, err := p.Add([]HostKey{{Addr: "secret:22", Key: fakeKey(1)}}); err != nil || refused[0] != nil {
		t.Fatal(refused, err)
	}
	if text := readText(t, file); strings.Contains(text, "secret") || !strings.HasPrefix(text, hashMagic) {
		t.Errorf("the file has %q", text)
	}
	if err := exec.Command("ssh-keygen", "-F", "secret", "-f", file).Run(); err != nil {
		t.Errorf("ssh-keygen does not find the host: %v", err)
	}
}

// TestAddNowhere wants an error, and nothing pinned, where nothing can be written.
func TestAddNowhere(t *testing.T) {
	for _, file := range []string{"", "/proc/nosuch/known_hosts"} {
		p := &Policy{File: file}
		if _, err := p.Add([]HostKey{{Addr: "h:22", Key: fakeKey(1)}}); err == nil {
			t.Errorf("%q: no error", file)
		}
		if err := p.Check("h:22", nil, fakeKey(1)); err == nil {
			t.Errorf("%q: the key counts as known", file)
		}
	}
}

func TestParse(t *testing.T) {
	p := &Policy{Index: Parse("given", "web* "+authorizedKey(fakeKey(1))+"\nbroken\n")}
	if err := p.Check("web1:22", nil, fakeKey(1)); err != nil {
		t.Error(err)
	}
	if err := p.Index.Problems(); err == nil || !strings.Contains(err.Error(), "given:2") {
		t.Errorf("problems: %v", err)
	}
}
