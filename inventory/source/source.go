// Package source reads inventories of every kind that fleet knows and makes one
// [inventory.Inventory] of them: it finds out of which kind a source is, by what
// it holds rather than by its name, has the reader of that kind read it, and
// merges all of them in order.
//
// [Load] is all there is to call. A kind is a line in the table in kinds.go and
// a reader in a file of its own. A source is written as a path, or as KIND:PATH
// where the kind is not to be guessed, such as ssh_config:FILE; a file that is called
// like that is ./ssh_config:FILE.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"fleet/inventory"
	"fleet/inventory/ansible"
)

// Options say what sources may use of the world around them. The zero value is
// a world with nothing in it.
type Options struct {
	// Getenv reads the environment; nil for an empty one.
	Getenv func(string) string
	// SSHConfigNames gives the names on the Host lines of an ssh_config file, of
	// the usual files for "". Without it there is no source of that kind.
	SSHConfigNames func(file string) ([]string, error)
	// ScriptLimit is how long a program may take to write an inventory; 0 for
	// DefaultScriptLimit.
	ScriptLimit time.Duration
	// VaultPasswords open what ansible-vault encrypted.
	VaultPasswords []ansible.VaultPassword
	// Words are hosts as pdsh's -w has them, beside the sources and stronger: see
	// Result.Named.
	Words []string
	// Stdin is what the source "-" reads, once; nil where it is not to be had.
	Stdin io.Reader
	// Remote says how sources are fetched that are URLs.
	Remote Remote
	// Wanted are groups that are asked for by name: of ClusterShell's upcalls only
	// those are run that are needed, SOURCE:GROUP.
	Wanted []string
	// IgnoreBroken leaves out sources that cannot be read, which then stand in
	// Result.Broken; else the first of them is the error.
	IgnoreBroken bool
}

// Result is what came of the sources.
type Result struct {
	Inventory *inventory.Inventory
	// Warnings is what is odd, or not supported, and harmless enough to go on; in
	// the order of the sources.
	Warnings []*inventory.Error
	// Named is the hosts that Words mean, in their order.
	Named []string
	// Broken is the errors of sources that were left out.
	Broken []error
}

// Error says that a source cannot be read for a reason outside its text: what
// is wrong with that is an inventory.Errors.
type Error struct {
	Source string // as it was given
	Msg    string // on one line, beginning with what was tried
	Way    string // the way out, where there is one
	Err    error  // the cause, or nil
}

func (e *Error) Error() string {
	if e.Source == "" {
		return e.Msg
	}
	return e.Source + ": " + e.Msg
}

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }

// Hint gives Way.
func (e *Error) Hint() string { return e.Way }

// loader reads the sources of one Load.
type loader struct {
	Options
	ctx     context.Context
	sources []inventory.Source
	result  Result
	vault   *ansible.Vault
	ansible *ansible.Reader
	folders []string // in which there may be variables beside the sources
}

// Load reads the sources and merges them in order: a later one is stronger than
// an earlier one in what both say of the same host, group or default. The error
// is an *Error, an inventory.Errors, or ctx's. Where sources can be read and not
// merged there is a Result beside the error, without an inventory.
func Load(ctx context.Context, o Options, sources ...string) (*Result, error) {
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	l := &loader{Options: o, ctx: ctx, vault: &ansible.Vault{Passwords: o.VaultPasswords}}
	var faults inventory.Errors
	for _, text := range sources {
		err := l.load(text)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			err = l.leave(err)
		}
		var list inventory.Errors
		switch {
		case err == nil:
		case errors.As(err, &list):
			faults = append(faults, list...) // those of all files come at once
		default:
			return nil, err
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	if len(o.Words) > 0 {
		var err error
		if l.result.Named, err = l.readWords(); err != nil {
			return nil, err
		}
	}
	inv, err := inventory.Merge(l.sources...)
	l.result.Inventory = inv
	if l.ansible != nil {
		l.result.Warnings = append(l.result.Warnings, l.ansible.Notes.Warnings()...)
	}
	return &l.result, err
}

// leave takes the error of a source that is to be left out, if such are; else it
// gives the error back.
func (l *loader) leave(err error) error {
	if !l.IgnoreBroken {
		return err
	}
	l.result.Broken = append(l.result.Broken, err)
	return nil
}

// load reads one source, as it was written by the user.
func (l *loader) load(text string) error {
	it := &item{text: text, path: text, vault: l.vault}
	switch {
	case text == "-":
		return l.readStdin(it)
	case isURL(text):
		return l.readRemote(it)
	}
	if name, path, ok := strings.Cut(text, ":"); ok || kindByName(text) != nil {
		if k := kindByName(name); k != nil && (ok || k.bare) {
			it.path, it.vault = path, l.vault
			if ok && path == "" {
				return &Error{Msg: text + " names no " + k.place, Way: k.hint}
			}
			return k.read(l, it)
		}
	}
	return l.open(it)
}

// open reads a source of which the kind has to be found out.
func (l *loader) open(it *item) error {
	it.vault = l.vault
	if err := it.stat(); err != nil && !isList(it) {
		return err
	}
	return l.claim(it)
}

// claim has the first kind that takes the source read it.
func (l *loader) claim(it *item) error {
	for i := range kinds {
		if k := &kinds[i]; k.claims != nil && k.claims(it) {
			return k.read(l, it)
		}
	}
	_, err := it.content()
	if err != nil {
		return err
	}
	return &Error{Source: it.text, Msg: "is no inventory that fleet knows", Way: "kinds: " + kindNames()}
}

// add takes what a source says, unless there is something wrong with it.
func (l *loader) add(it *item, c *inventory.Content) error {
	if it.secret {
		c.HideVars()
	}
	if err := c.Err(); err != nil {
		return err
	}
	l.result.Warnings = append(l.result.Warnings, c.Warnings()...)
	l.sources = append(l.sources, inventory.Source{File: c.File(), Content: c})
	return nil
}

// pathCause takes the operation and the path from a file's error: both are said already.
func pathCause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func readError(source, path string, err error) error {
	if path != source {
		return &Error{Source: source, Msg: fmt.Sprintf("read %s: %v", path, pathCause(err)), Err: err}
	}
	return &Error{Source: source, Msg: fmt.Sprintf("read inventory: %v", pathCause(err)), Err: err}
}
