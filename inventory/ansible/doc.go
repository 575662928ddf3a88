// Package ansible reads inventories written for Ansible, and means by them what
// Ansible does: INI and YAML files, the JSON of inventory scripts, group_vars
// and host_vars, values encrypted by ansible-vault. The oracle of its tests is
// `ansible-inventory --list`.
//
// A [Reader] makes an [inventory.Content] of each source; inventory.Merge puts
// them together. Variables keep the types that Ansible gives them. Those by
// which Ansible connects (ansible_host and its kind) become settings too, as far
// as fleet has such a setting; connection.go lists them. What is not supported
// is left out or, for templates of Jinja, left as text; [Notes] gathers that for
// warnings, each kind folded into one.
//
// What is other than in Ansible:
//   - integers of more than 64 bits, sets, complex numbers, and infinite or odd
//     floats are text;
//   - a group that a script gives as {} has no host, rather than one of its own name;
//   - names of characters in literals (\N{BULLET}) are not known;
//   - names of hosts and groups hold only what names in fleet may hold;
//   - templates are evaluated where a connection variable holds them, and only the
//     simple ones: variables by their names, with | default('...') at most.
package ansible

import "fleet/inventory"

// Reader reads the files of Ansible inventories. It is for one goroutine.
type Reader struct {
	// Vault decrypts; nil where there is no password.
	Vault *Vault
	// Notes takes what is to be warned of; never nil.
	Notes *Notes
	// Known says whether an earlier source has a group of that name; may be nil.
	Known func(group string) bool
	// Sealed says that the text to be read was encrypted as a whole, so that
	// passwords in it are no cause for a warning.
	Sealed bool
}

// file is one text being read into a Content.
type file struct {
	*Reader
	c *inventory.Content
}

func (r *Reader) open(name string) *file {
	c := inventory.NewContent(name)
	c.SortGroups()
	c.KeepUngrouped()
	return &file{r, c}
}

// fail notes an error, also one that Content gave.
func (f *file) fail(err error) {
	if e, ok := err.(*inventory.Error); ok {
		f.c.Fail(e)
		return
	}
	f.c.Fail(&inventory.Error{Msg: err.Error(), Err: err})
}

func (f *file) bad(at inventory.Mark, word, msg, hint string) {
	f.c.Fail(&inventory.Error{Line: at.Line, Column: at.Column, Word: word, Msg: msg, Hint: hint})
}
