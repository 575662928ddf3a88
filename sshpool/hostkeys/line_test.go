package hostkeys

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	body = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

func TestParseLineRefuses(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"@cert web1 " + keyA, `unknown marker "@cert"`},
		{"@revoked @cert-authority web1 " + keyA, `second marker "@cert-authority"`},
		{"@revoked", "names are missing"},
		{"web1", "key type is missing"},
		{"web1 # later", "key type is missing"},
		{"web1 ssh-ed25519", "key is missing"},
		{"web1 ssh-ed25519 AAAA-", "key is not base64"},
		{"web1 ssh-ed25519 AAAAC3Nz", "key is cut short"},
		{"web1 ssh-ed25519 " + body[:60], "key is cut short"},
		{"web1 ssh-ed25519 " + body + "AAAA", "key has trailing bytes"},
		{"web1 ssh-rsa " + body, `key type "ssh-rsa" differs from the key's own "ssh-ed25519"`},
		{"web1 ssh-foo AAAAB3NzaC1mb28=", `unknown key type "ssh-foo"`},
		{"web1 ssh-foo AAAAB3NzaC1mb28=AAAA", "key is not base64"},
		{"web1 " + strings.Repeat("x", 60) + " " + body, `key type "` + strings.Repeat("x", 40) + `..." differs from the key's own "ssh-ed25519"`},
		{"web1 1024 35 1234567890", "key is not base64"},
	} {
		_, _, err := parseLine(c.line, nil)
		if err == nil || err.Error() != c.want {
			t.Errorf("parseLine(%q) = %v, want %s", c.line, err, c.want)
		}
	}
}

func TestParseLineBlank(t *testing.T) {
	for _, text := range []string{"", " ", "\t", "\r", "# web1 " + keyA, "  #", " \t\r"} {
		if _, _, err := parseLine(text, nil); err != errBlank {
			t.Errorf("parseLine(%q) = %v, want blank", text, err)
		}
	}
}

func TestParseLineKeyTypes(t *testing.T) {
	for _, key := range []ssh.PublicKey{fakeKey(1), rsaKey(t), ecdsaKey(t)} {
		l, blob, err := parseLine(" web1,web2\t"+authorizedKey(key)+" root@web1\r", nil)
		if err != nil || l.hosts != "web1,web2" || l.kind != key.Type() || string(blob) != string(key.Marshal()) {
			t.Errorf("%s: got %+v, %v", key.Type(), l, err)
		}
	}
}

func TestLoadFoldsProblems(t *testing.T) {
	file := knownHosts(t,
		"web1 "+keyA,
		"web1 ssh-foo AAAA",
		"|1|short|hash "+keyA,
		"|2|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= "+keyA,
		"long"+strings.Repeat("x", 1<<20)+" "+keyA,
		strings.Repeat("junk ", 1<<20),
		"web2 "+keyA)
	x := load(t, file)
	if x.Len() != 3 || len(x.Lookup("web2:22")) != 1 || len(x.Lookup("long"+strings.Repeat("x", 1<<20)+":22")) != 1 {
		t.Errorf("%d good lines, want 3 that are found", x.Len())
	}
	want := "known_hosts: 4 bad lines, first at " + file + ":2: key is cut short"
	if err := x.Problems(); err == nil || err.Error() != want {
		t.Errorf("Problems() = %v\nwant %s", err, want)
	}
	if err := load(t, knownHosts(t, "a "+keyA)).Problems(); err != nil {
		t.Errorf("Problems() of a good file = %v", err)
	}
	if err := load(t, knownHosts(t, "a")).Problems(); err == nil || !strings.HasPrefix(err.Error(), "known_hosts: 1 bad line: /") {
		t.Errorf("Problems() = %v", err)
	}
}

func TestLoadFiles(t *testing.T) {
	a := knownHosts(t, "web1 "+keyA)
	b := knownHosts(t, "", "web1 "+authorizedKey(fakeKey(7)))
	x := load(t, a, a+".missing", b, "/dev/null")
	got := x.Lookup("web1:22")
	if len(got) != 2 || got[0].Place() != a+":1" || got[1].Place() != b+":2" {
		t.Errorf("Lookup = %v", got)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder was loaded as a file")
	}
	if _, err := Load("/dev/zero"); err == nil || err.Error() != "read /dev/zero: more than 16 MiB" {
		t.Errorf("a file without end: %v", err)
	}
}

// TestLookupImpossibleKey holds a key that looks right but is no point of its curve.
func TestLookupImpossibleKey(t *testing.T) {
	good := ecdsaKey(t)
	blob := good.Marshal()
	blob[len(blob)-1] ^= 1
	file := knownHosts(t, "web1 ecdsa-sha2-nistp256 "+encode(blob), "web1 "+authorizedKey(good))
	x := load(t, file)
	if got := x.Lookup("web1"); len(got) != 1 || got[0].Line != 2 {
		t.Errorf("Lookup = %v, want line 2 only", got)
	}
}

// FuzzParseLine compares with the library: what it takes as a line with a key
// of a type that we know, we take too and mean the same by it.
func FuzzParseLine(f *testing.F) {
	f.Add("web1,web2 " + keyA + " comment")
	f.Add("@cert-authority *.example.org,!x " + keyA)
	f.Add("@revoked\t* " + keyA)
	f.Add(hashName("web1") + " " + keyA)
	f.Add("[::1]:2222 " + keyA + "\r")
	f.Add("web1 " + authorizedKey(ecdsaKey(f)))
	f.Fuzz(func(t *testing.T, text string) {
		text, _, _ = strings.Cut(text, "\n")
		l, blob, err := parseLine(text, make([]byte, 0, 64))
		matchNames(l.hosts, "web1")
		marker, hosts, key, _, _, libErr := ssh.ParseKnownHosts([]byte(text))
		if libErr != nil || strings.ContainsAny(text, "\r\v\f\u0085\u00a0") {
			return
		}
		if _, ok := key.(*ssh.Certificate); ok || strings.HasPrefix(hosts[0], "@") {
			return
		}
		if first, _ := nextField(skipSpace(text)); first[0] == '@' && first != "@revoked" && first != "@cert-authority" {
			return // the library takes any marker
		}
		if err != nil {
			if _, _, sameType := strings.Cut(text, key.Type()); !sameType || strings.Contains(err.Error(), "base64") || strings.Contains(err.Error(), "differs") {
				return // the library ignores the type that the line states
			}
			t.Fatalf("parseLine(%q): %v; the library takes it", text, err)
		}
		if string(blob) != string(key.Marshal()) || l.kind != key.Type() {
			t.Fatalf("parseLine(%q) gave another key than the library", text)
		}
		if got := strings.TrimPrefix(string(l.marker), "@"); got != marker || l.hosts != strings.Join(hosts, ",") {
			t.Fatalf("parseLine(%q) = %q %q, the library %q %q", text, got, l.hosts, marker, hosts)
		}
	})
}

// FuzzMatchPatterns compares with a matcher that is slow and plainly right.
func FuzzMatchPatterns(f *testing.F) {
	f.Add("web*,!web2", "web2")
	f.Add("*a*b*?", "xaxxbx")
	f.Add("[*]:2222", "[web1]:2222")
	f.Fuzz(func(t *testing.T, list, name string) {
		if len(list) > 60 || len(name) > 60 || strings.Count(list, "*") > 6 {
			return
		}
		name = strings.ToLower(name)
		want := false
		for _, p := range strings.Split(list, ",") {
			p, negated := strings.CutPrefix(p, "!")
			if !slowMatch(p, name) {
				continue
			}
			if want = !negated; negated {
				break
			}
		}
		if want, got := want, matchPatterns(list, name); got != want {
			t.Errorf("matchPatterns(%q, %q) = %v", list, name, got)
		}
	})
}

func slowMatch(p, name string) bool {
	switch {
	case p == "":
		return name == ""
	case p[0] == '*':
		return slowMatch(p[1:], name) || name != "" && slowMatch(p, name[1:])
	case name == "":
		return false
	}
	return (p[0] == '?' || lower(p[0]) == name[0]) && slowMatch(p[1:], name[1:])
}
