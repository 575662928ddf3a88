package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"fleet/inventory/ansible"
)

// maxPassword bounds a file that should hold one password, in bytes.
const maxPassword = 64 << 10

// CheckVaultFile says what is wrong with the name of a file for VaultFile, which
// opens it only when a password is needed.
func CheckVaultFile(path string) error {
	it := &item{text: path, path: path}
	if err := it.stat(); err != nil {
		return &Error{Source: path, Msg: fmt.Sprintf("open: %v", pathCause(errors.Unwrap(err))), Err: err}
	}
	return nil
}

// VaultFile is a password for ansible-vault that stands in a file, or that a
// program writes: where the file is executable it is run, as Ansible does, with
// the limits of an inventory script. label is the vault id, or empty.
func VaultFile(ctx context.Context, label, path string) ansible.VaultPassword {
	return ansible.VaultPassword{Label: label, Get: func() ([]byte, error) {
		it := &item{text: path, path: path}
		if err := it.stat(); err != nil {
			return nil, CheckVaultFile(path)
		}
		var secret []byte
		var err error
		if it.info.Mode().IsRegular() && it.info.Mode()&0o111 != 0 {
			secret, err = vaultProgram(ctx, it)
		} else if it.info.Size() > maxPassword {
			err = &Error{Source: path, Msg: fmt.Sprintf("read vault password: a file of %d bytes", it.info.Size())}
		} else {
			secret, err = os.ReadFile(path)
		}
		if err != nil {
			return nil, err
		}
		if secret = bytes.TrimSpace(secret); len(secret) == 0 {
			return nil, &Error{Source: path, Msg: "read vault password: it is empty"}
		}
		return secret, nil
	}}
}

func vaultProgram(ctx context.Context, it *item) ([]byte, error) {
	if err := mayRun(it); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, DefaultScriptLimit, errors.New("took too long"))
	defer cancel()
	p := &program{it: it, ctx: ctx, what: "vault password program"}
	return p.run()
}
