package source

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fleet/inventory"
	"fleet/inventory/ansible"
)

// vault runs ansible-vault, the oracle.
func vault(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ansible-vault", args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "ANSIBLE_HOME="+home, "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ansible-vault %q: %v", args, err)
	}
	return string(out)
}

// TestVaultOracle opens what ansible-vault encrypted: whole files and single
// values, of both versions; and tells what is wrong where it cannot.
func TestVaultOracle(t *testing.T) {
	dir := write(t, "pass", "s3cret\n", "other", "n0t\n", "prod", "pr0d pass \n", "script", "#!/bin/sh\necho s3cret\n",
		"inv", "[web]\nw1\nw2\n", "sealed", "[db]\nd1 ansible_port=7 note=hidden ansible_password=p\n",
		"group_vars/web", "plain: 1\nuser_note: from the vault\nlist: [a, {b: c}]\nansible_become_pass: b\n",
	)
	if err := os.Chmod(dir+"/script", 0o755); err != nil {
		t.Fatal(err)
	}
	pass := "--vault-password-file=" + dir + "/pass"
	vault(t, "", "encrypt", pass, dir+"/group_vars/web", dir+"/sealed")
	inline := vault(t, "hunter2 ü\nsecond line", "encrypt_string", pass, "--stdin-name", "token")
	labelled := vault(t, "labelled", "encrypt_string", "--vault-id", "prod@"+dir+"/prod", "--encrypt-vault-id", "prod", "--stdin-name", "ansible_password")
	if err := os.MkdirAll(dir+"/host_vars", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/host_vars/w1", []byte(inline+"\n"+labelled+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(labelled, "$ANSIBLE_VAULT;1.2;AES256;prod") {
		t.Errorf("not of version 1.2: %s", labelled)
	}
	file := func(label, name string) ansible.VaultPassword {
		return VaultFile(t.Context(), label, filepath.Join(dir, name))
	}
	for name, passwords := range map[string][]ansible.VaultPassword{
		"in order":   {file("", "pass"), file("", "prod")},
		"by label":   {file("dev", "other"), file("prod", "prod"), file("", "pass")},
		"by program": {file("", "script"), file("", "prod")},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Load(t.Context(), Options{VaultPasswords: passwords}, dir+"/inv", dir+"/sealed")
			if err != nil {
				t.Fatal(err)
			}
			w1, _ := r.Inventory.Host("w1")
			d1, _ := r.Inventory.Host("d1")
			vars, _ := inventory.Reveal(w1.Vars).(map[string]any)
			if vars["token"] != "hunter2 ü\nsecond line" || vars["user_note"] != "from the vault" || vars["plain"] != int64(1) || w1.Password.Text() != "labelled" {
				t.Errorf("%v, password %q", vars, w1.Password.Text())
			}
			if d1 == nil || d1.Port != 7 {
				t.Fatalf("%+v", d1)
			}
			for name, v := range map[string]any{"token": w1.Vars["token"], "user_note": w1.Vars["user_note"], "plain": w1.Vars["plain"], "note": d1.Vars["note"], "password": w1.Vars["ansible_password"]} {
				if s, ok := v.(inventory.Secret); !ok || !s.IsSet() {
					t.Errorf("%s is no secret: %T", name, v)
				}
			}
			if len(r.Warnings) > 0 {
				t.Errorf("warned: %v", r.Warnings)
			}
		})
	}
	_, err := Load(t.Context(), Options{VaultPasswords: []ansible.VaultPassword{file("", "other"), file("", "prod")}}, dir+"/inv")
	if want := dir + "/group_vars/web:1:1: decrypt vault: none of 2 passwords fits"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = Load(t.Context(), Options{}, dir+"/sealed")
	if want := dir + "/sealed: encrypted by ansible-vault, and there is no password"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = Load(t.Context(), Options{VaultPasswords: []ansible.VaultPassword{file("", "nosuch")}}, dir+"/sealed")
	if want := "vault password: " + dir + "/nosuch: open: no such file"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// A value that stays encrypted is no error by itself, a password is.
func TestVaultWithoutPassword(t *testing.T) {
	sealed := "!vault |\n      $ANSIBLE_VAULT;1.1;AES256\n      6162\n"
	dir := write(t, "inv.yml", "all:\n  hosts:\n    a:\n  vars:\n    token: "+sealed, "login.yml", "all:\n  hosts:\n    a:\n  vars:\n    ansible_password: "+sealed)
	r, err := Load(context.Background(), Options{}, dir+"/inv.yml")
	if err == nil && len(r.Warnings) == 1 {
		t.Log(r.Warnings[0])
	} else {
		t.Error(r, err)
	}
	_, err = Load(context.Background(), Options{}, dir+"/login.yml")
	if want := "login.yml:5:5: ansible_password: encrypted by ansible-vault, and there is no password (--vault-password-file"; err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}
