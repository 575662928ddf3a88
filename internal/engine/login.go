package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/sshconfig"
)

// login is what makes an Auth; hosts with equal logins share one.
type login struct {
	keys, defaults []string
	certificates   []string
	only           bool // no other keys
	agent          string
	methods        []string // nil: all
	algorithms     []string // of public keys; nil: the usual ones
	password       func(context.Context) (string, error)
	secret         inventory.Secret // that password gives, where it is the inventory's
	answers        []sshpool.Answer
}

// auth is the login of a host.
func (r *resolver) auth(w want, found *sshconfig.Resolved) (*sshpool.Auth, error) {
	l := login{agent: r.Agent}
	if !w.isHop() { // a jump host has no business with the password of those behind it
		l.password, l.answers = r.Password, r.Answers
	}
	if own := w.host.Password; l.password == nil && own.IsSet() {
		l.secret, l.password = own, func(context.Context) (string, error) { return own.Text(), nil }
	}
	switch v := found.IdentityAgent.V; v {
	case "":
	case "none":
		l.agent = ""
	default:
		l.agent = v
	}
	if err := r.chooseKeys(&l, w, found); err != nil {
		return nil, err
	}
	if err := r.chooseMethods(&l, found); err != nil {
		return nil, err
	}
	for _, file := range w.host.Certificate {
		l.certificates = append(l.certificates, r.expand(file))
	}
	for _, v := range found.CertificateFiles {
		switch {
		case len(w.host.Certificate) > 0:
		case exists(v.V):
			l.certificates = append(l.certificates, v.V)
		default:
			r.later(fmt.Sprintf("%s: certificate %s: no such file; it is not used", v.From, v.V))
		}
	}
	return r.auths.get(r, l.id(), func() (*sshpool.Auth, error) {
		return &sshpool.Auth{
			Keys: l.keys, Certificates: l.certificates, DefaultKeys: l.defaults, IdentitiesOnly: l.only, AgentSocket: l.agent,
			KeyFiles: r.keyFiles, Methods: l.methods, KeyAlgorithms: l.algorithms,
			Password: l.password, Passphrase: r.Passphrase,
			Answers: l.answers, Interactive: r.Interactive, Touch: r.Touch,
		}, nil
	})
}

// id tells logins apart.
func (l *login) id() string {
	var b strings.Builder
	fmt.Fprint(&b, l.only, l.password != nil, len(l.answers) > 0, "\x00", l.agent, "\x00", l.secret.Text())
	for _, list := range [][]string{l.keys, l.certificates, l.defaults, l.methods, l.algorithms} {
		b.WriteString("\x00\x00" + strings.Join(list, "\x00"))
	}
	return b.String()
}

// chooseMethods takes what ssh_config lets a login use.
func (r *resolver) chooseMethods(l *login, found *sshconfig.Resolved) error {
	off := map[string]bool{
		"publickey": !found.PubkeyAuthentication.V, "password": !found.PasswordAuthentication.V,
		"keyboard-interactive": !found.KbdInteractiveAuthentication.V,
	}
	own := found.PreferredAuthentications
	if !own.IsSet() && !off["publickey"] && !off["password"] && !off["keyboard-interactive"] {
		return r.chooseAlgorithms(l, found)
	}
	wanted := own.V
	if !own.IsSet() {
		wanted = []string{"publickey", "password", "keyboard-interactive"}
	}
	for _, name := range wanted {
		if blocked, known := off[name]; known && !blocked {
			l.methods = append(l.methods, name)
		}
	}
	if len(l.methods) == 0 {
		return hinted(at(own.From.String(), fmt.Errorf("no way to log in is left of %s", strings.Join(wanted, ","))),
			"there are publickey, password and keyboard-interactive; see PreferredAuthentications, PubkeyAuthentication, PasswordAuthentication")
	}
	return r.chooseAlgorithms(l, found)
}

// chooseAlgorithms takes PubkeyAcceptedAlgorithms, which has the names of host
// key algorithms.
func (r *resolver) chooseAlgorithms(l *login, found *sshconfig.Resolved) error {
	v := found.PubkeyAcceptedAlgorithms
	if v.V == "" {
		return nil
	}
	supported := append(sshpool.SupportedAlgorithms().HostKeys, skAlgorithms...)
	list, err := v.V.Apply(append(sshpool.DefaultAlgorithms().HostKeys, skAlgorithms...), supported)
	if err != nil {
		return hinted(at(v.From.String(), fmt.Errorf("PubkeyAcceptedAlgorithms: %w", err)), "known here: "+strings.Join(supported, ","))
	}
	if names := v.V.Unsupported(supported); len(names) > 0 {
		r.later(fmt.Sprintf("%s: PubkeyAcceptedAlgorithms: not known here and left out: %s", v.From, strings.Join(names, ",")))
	}
	l.algorithms = list
	return nil
}

// skAlgorithms are those of keys on FIDO tokens, which only log in here.
var skAlgorithms = []string{
	"sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
	"sk-ssh-ed25519-cert-v01@openssh.com", "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
}

// chooseKeys takes the keys of the flags, else those of the inventory, both
// alone; else those of ssh_config; else the usual files, which may be missing.
func (r *resolver) chooseKeys(l *login, w want, found *sshconfig.Resolved) error {
	own := slices.ContainsFunc(found.IdentityFiles, func(v sshconfig.Value[string]) bool { return v.IsSet() })
	switch {
	case len(r.Keys) > 0 && !w.isHop():
		return r.onlyKeys(l, r.Keys, "--key")
	case len(w.host.Key) > 0:
		return r.onlyKeys(l, w.host.Key, place(w.host.Source))
	case len(r.Keys) > 0 && !own:
		return r.onlyKeys(l, r.Keys, "--key")
	}
	l.only = found.IdentitiesOnly.V
	for _, v := range found.IdentityFiles {
		switch missing := !exists(v.V) && !exists(v.V+".pub"); {
		case v.IsSet() && missing:
			r.later(fmt.Sprintf("%s: key %s: no such file; it is not used", v.From, v.V))
		case v.IsSet() || l.only && !missing:
			if err := r.checkKey(v.V, v.From.String(), l.agent); err != nil {
				return err
			}
			l.keys = append(l.keys, v.V)
		case !l.only:
			l.defaults = append(l.defaults, v.V)
		}
	}
	return nil
}

// onlyKeys takes keys that must be there, and no others.
func (r *resolver) onlyKeys(l *login, keys []string, from string) error {
	l.only = true
	for _, key := range keys {
		key = r.expand(key)
		if err := r.checkKey(key, from, l.agent); err != nil {
			return err
		}
		l.keys = append(l.keys, key)
	}
	return nil
}

// checkKey says what is wrong with a key file that was named, before any host
// is asked. What is in the file shows when it is opened.
func (r *resolver) checkKey(path, from, agent string) error {
	id := from + "\x00" + path + "\x00" + agent
	err, seen := r.keys[id]
	if !seen {
		err = at(from, keyProblem(path, agent))
		r.keys[id] = err
	}
	return err
}

func keyProblem(path, agent string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && exists(path+".pub") {
		path += ".pub"
		f, err = os.Open(path)
	}
	if err != nil {
		return hinted(keyFault(path, err), "name a private key file with --key, key: in the inventory or IdentityFile; ssh-keygen makes one")
	}
	defer f.Close()
	head := make([]byte, 1024)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return keyFault(path, err)
	}
	head = head[:n]
	info, err := f.Stat()
	if err != nil {
		return keyFault(path, err)
	}
	private := bytes.Contains(head, []byte("PRIVATE KEY-----"))
	switch {
	case bytes.HasPrefix(head, []byte("PuTTY-User-Key-File")):
		return hinted(fmt.Errorf("key %s is in PuTTY's format", path), "puttygen "+path+" -O private-openssh -o FILE converts it")
	case private && sshpool.KeyExposed(info):
		return hinted(fmt.Errorf("key %s can be read by others (mode %04o)", path, info.Mode().Perm()), "chmod 600 "+path)
	case !private && agent == "":
		return hinted(fmt.Errorf("key %s is no private key, and there is no agent that could hold it", path),
			"name the private key's file, or start an agent: eval $(ssh-agent); ssh-add FILE")
	}
	return nil
}

// keyFault says what a file of a key did not allow.
func keyFault(path string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("key %s: %w", path, err)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// keyHint adds a way out to an error about an encrypted key.
func keyHint(err error) error {
	if !strings.Contains(err.Error(), "passphrase") {
		return err
	}
	return hinted(err, "an agent spares the question: ssh-add FILE; 'ssh-keygen -y -f FILE' tells whether a passphrase is right")
}
