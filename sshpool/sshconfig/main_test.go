package sshconfig

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testEnv is a user with a home folder of its own.
func testEnv(t testing.TB) *Env {
	home := t.TempDir()
	env := &Env{
		User: "ann", UID: "1000", Home: home, HostName: "desk.example.net",
		UserDir: filepath.Join(home, ".ssh"), SystemDir: filepath.Join(home, "etc"),
		Getenv: func(name string) (string, bool) {
			if name == "SITE" {
				return "north", true
			}
			return "", false
		},
	}
	return env
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func parse(t testing.TB, env *Env, text string) *Config {
	t.Helper()
	c, err := Parse(env, "config", text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func resolve(t testing.TB, c *Config, q Query) *Resolved {
	t.Helper()
	r, err := c.Resolve(q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
