package hostkeys

import "testing"

// TestLineMeansItselfOnly refuses names that would mean more than one host, or
// another line, and wants all others read back.
func TestLineMeansItselfOnly(t *testing.T) {
	key := fakeKey(1)
	for _, addr := range []string{"", "web*", "web1,web2", "!web", "|1|x", "web 1", "@revoked", "web\n1"} {
		for _, hashed := range []bool{false, true} {
			if line, err := Line(addr, key, hashed); err == nil {
				t.Errorf("Line(%q) = %q, want an error", addr, line)
			}
		}
	}
	for _, addr := range []string{"web1", "WEB1:22", "[::1]:2222", "web1:2222"} {
		for _, hashed := range []bool{false, true} {
			line, err := Line(addr, key, hashed)
			if err != nil {
				t.Fatal(err)
			}
			found := Parse("f", line).Lookup(addr)
			if len(found) != 1 || string(found[0].Key.Marshal()) != string(key.Marshal()) {
				t.Errorf("Lookup(%q) in %q finds %d lines", addr, line, len(found))
			}
		}
	}
}
