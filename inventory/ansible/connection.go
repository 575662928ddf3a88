package ansible

import (
	"fmt"
	"strconv"
	"strings"

	"fleet/inventory"
)

// set gives an entry a variable, and the setting that it stands for in Ansible,
// if there is one.
func (f *file) set(e inventory.Entry, name string, value any, at inventory.Mark) {
	if name == "" {
		f.bad(at, "", "a variable without a name", "")
		return
	}
	if !strings.HasPrefix(name, "ansible_") {
		f.noteTemplate(name, value, at)
		e.Var(name, value, at)
		return
	}
	f.connection(e, name, value, at)
}

// noteTemplate notes a value in which there is a template.
func (f *file) noteTemplate(name string, value any, at inventory.Mark) {
	if hasTemplate(value) {
		f.Notes.add(f.c.File(), at, "jinja templates are left as text: %s", "", name)
	}
}

func hasTemplate(value any) bool {
	switch v := value.(type) {
	case string:
		return isTemplate(v)
	case inventory.Secret:
		return hasTemplate(v.Reveal())
	case []any:
		for _, item := range v {
			if hasTemplate(item) {
				return true
			}
		}
	case map[string]any:
		for _, item := range v {
			if hasTemplate(item) {
				return true
			}
		}
	}
	return false
}

func isTemplate(s string) bool {
	return strings.Contains(s, "{{") || strings.Contains(s, "{%")
}

// direct is which setting of hosts.yaml a connection variable is. Later names
// of one setting are the older ones; the strongest entry counts, not the name.
var direct = map[string]string{
	"ansible_host":                 "address",
	"ansible_ssh_host":             "address",
	"ansible_port":                 "port",
	"ansible_ssh_port":             "port",
	"ansible_user":                 "user",
	"ansible_ssh_user":             "user",
	"ansible_ssh_private_key_file": "key",
	"ansible_private_key_file":     "key",
	"ansible_become":               "become",
	"ansible_become_user":          "become_user",
	"ansible_become_method":        "become_method",
	"ansible_timeout":              "connect_timeout",
	"ansible_ssh_timeout":          "connect_timeout",
	"ansible_shell_executable":     "shell",
}

// passwords are the variables that hold secrets; true for those of becoming
// another user.
var passwords = map[string]bool{
	"ansible_password": false, "ansible_ssh_pass": false, "ansible_ssh_password": false,
	"ansible_become_password": true, "ansible_become_pass": true, "ansible_sudo_pass": true, "ansible_su_pass": true,
}

// otherSecrets hold secrets for which fleet has no use.
var otherSecrets = map[string]bool{
	"ansible_ssh_private_key_passphrase": true, "ansible_private_key_passphrase": true, "ansible_httpapi_pass": true,
	"ansible_enable_pass": true, "ansible_vault_password": true, "ansible_winrm_pass": true, "ansible_winrm_password": true,
}

// unused change how Ansible connects, and nothing in fleet.
var unused = map[string]bool{
	"ansible_become_exe": true, "ansible_become_flags": true, "ansible_sudo_exe": true, "ansible_sudo_flags": true, "ansible_su_exe": true, "ansible_su_flags": true,
	"ansible_ssh_executable": true, "ansible_scp_extra_args": true, "ansible_sftp_extra_args": true, "ansible_shell_type": true,
	"ansible_ssh_private_key_passphrase": true, "ansible_private_key_passphrase": true, "ansible_host_key_checking": true, "ansible_ssh_host_key_checking": true,
	"ansible_paramiko_host_key_checking": true, "ansible_paramiko_proxy_command": true, "ansible_command_timeout": true, "ansible_remote_tmp": true, "ansible_ssh_retries": true,
}

const (
	noteUnused = "connection variables that have no effect here: %s"
	notePlain  = "passwords in plain text: %s"
	hintPlain  = "encrypt them with ansible-vault, or use --ask-pass or --pass-file"
)

// connection gives an entry a variable that begins with ansible_.
func (f *file) connection(e inventory.Entry, name string, value any, at inventory.Mark) {
	if s, ok := value.(inventory.Secret); ok && IsVault([]byte(s.Text())) {
		var none *Vault
		_, err := none.Decrypt([]byte(s.Text()))
		f.bad(at, name, name+": "+err.Error(), hintOf(err))
		return
	}
	if become, ok := passwords[name]; ok {
		f.password(e, name, value, become, at)
		return
	}
	if otherSecrets[name] {
		value = inventory.Hide(value)
	}
	e.Var(name, value, at)
	if unused[name] {
		f.Notes.add(f.c.File(), at, noteUnused, "", name)
		return
	}
	setting, ok := direct[name]
	switch {
	case ok:
		f.setting(e, name, setting, value, at)
	case name == "ansible_connection":
		f.plugin(value, at)
	case name == "ansible_ssh_common_args" || name == "ansible_ssh_extra_args" || name == "ansible_ssh_args":
		f.sshArgs(e, name, value, at)
	default:
		f.noteTemplate(name, value, at)
	}
}

// password keeps a secret out of sight; one in plain text is warned of.
func (f *file) password(e inventory.Entry, name string, value any, become bool, at inventory.Mark) {
	secret, hidden := value.(inventory.Secret)
	if !hidden && value != nil && value != "" {
		secret = inventory.NewSecret(value)
		if text, ok := value.(string); (!ok || !isTemplate(text)) && !f.Sealed {
			f.Notes.add(f.c.File(), at, notePlain, hintPlain, name)
		}
	}
	if !secret.IsSet() {
		e.Var(name, value, at)
		return
	}
	e.Var(name, secret, at)
	if text, ok := secret.Reveal().(string); ok && isTemplate(text) {
		setting := "password"
		if become {
			setting = "become_password"
		}
		e.Template(setting, text, at)
		return
	}
	if become {
		e.SetBecomePassword(secret, at)
	} else {
		e.SetPassword(secret, at)
	}
}

// plain gives a value as the text of a setting; false for nothing at all.
func plain(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", false
	case string:
		return v, v != ""
	case int64:
		return strconv.FormatInt(v, 10), true
	case bool:
		return strconv.FormatBool(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case inventory.Secret:
		return plain(v.Reveal())
	}
	return fmt.Sprint(value), true
}

// setting gives an entry the setting that a variable stands for.
func (f *file) setting(e inventory.Entry, name, setting string, value any, at inventory.Mark) {
	text, ok := plain(value)
	if !ok {
		return
	}
	if isTemplate(text) {
		e.Template(setting, text, at)
		return
	}
	switch setting {
	case "become":
		text = yesOrNo(text)
	case "become_method":
		text = text[strings.LastIndexByte(text, '.')+1:] // ansible.builtin.sudo
		if text != "sudo" && text != "su" && text != "doas" {
			f.Notes.add(f.c.File(), at, "ways of becoming another user that are not known here: %s", "there are sudo, su and doas", text)
			return
		}
	case "address":
		text = strings.TrimSpace(text)
	}
	if err := e.Setting(setting, at, text); err != nil {
		f.fail(named(err, name))
	}
}

// named puts the variable's name before what is wrong with its value.
func named(err error, name string) error {
	if e, ok := err.(*inventory.Error); ok {
		e.Msg = name + ": " + e.Msg
	}
	return err
}

// yesOrNo reads a truth as Ansible does.
func yesOrNo(text string) string {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "y", "yes", "on", "1", "true", "t", "1.0":
		return "true"
	case "n", "no", "off", "0", "false", "f", "0.0":
		return "false"
	}
	return text
}

// plugin warns of ways to connect that are not SSH.
func (f *file) plugin(value any, at inventory.Mark) {
	text, _ := plain(value)
	switch text[strings.LastIndexByte(text, '.')+1:] {
	case "", "ssh", "smart", "paramiko", "paramiko_ssh", "libssh":
		return
	}
	f.Notes.add(f.c.File(), at, "connections other than by ssh are not made, these hosts are reached by ssh: ansible_connection %s", "", short(text))
}
