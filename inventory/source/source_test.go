package source

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes files in a folder, by name and text.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBrokenSources(t *testing.T) {
	dir := write(t, "good", "hosts: {a: }\n", "bad", "hosts: {a: {prot: 1}}\n")
	good, bad, none := dir+"/good", dir+"/bad", dir+"/none"
	if _, err := Load(t.Context(), Options{}, good, bad, none); err == nil || err.Error() != none+": read inventory: no such file or directory" {
		t.Error(err)
	}
	if _, err := Load(t.Context(), Options{}, good, bad); err == nil || !strings.Contains(err.Error(), bad+`:1:13: unknown field "prot"`) {
		t.Error(err)
	}
	r, err := Load(t.Context(), Options{IgnoreBroken: true}, good, bad, none)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Broken) != 2 || len(r.Inventory.Hosts()) != 1 || !errors.Is(r.Broken[1], os.ErrNotExist) {
		t.Errorf("%d hosts, broken: %v", len(r.Inventory.Hosts()), r.Broken)
	}
}
