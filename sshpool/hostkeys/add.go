package hostkeys

import (
	"bytes"
	"slices"

	"golang.org/x/crypto/ssh"
)

// HostKey is a key that a host is to be known by.
type HostKey struct {
	Addr string // as for Check
	Key  ssh.PublicKey
	// Beside says that the host may be known by keys of other types already.
	Beside bool
}

// Add writes keys that somebody has approved to the policy's file: all in one
// piece, under the file's lock, as AcceptNew does and whatever the mode. What
// others have written since the index was loaded counts. A key that is known is
// left as it is. The first result belongs to keys, one by one: it is nil for a
// key that is known now, else says why it was not written, as it would be for a
// host known by another key. With an error nothing was written.
func (p *Policy) Add(keys []HostKey) ([]*Error, error) {
	p.keep.writing.Lock()
	defer p.keep.writing.Unlock()
	if p.File == "" {
		return nil, errNoFile
	}
	wait := lockLimit
	if p.keep.limit > 0 {
		wait = p.keep.limit
	}
	f, err := openLocked(p.File, wait)
	if err != nil {
		return nil, err
	}
	defer f.Close() // and unlock
	if err := p.idx().refresh(p.File, f); err != nil {
		return nil, err
	}
	refused := make([]*Error, len(keys))
	var text bytes.Buffer
	written := make(map[string]bool)
	for i, k := range keys {
		name, _ := lineName(k.Addr)
		id := name + " " + authorizedKey(certified(k.Key))
		if written[id] {
			continue // another host of that address
		}
		before := text.Len()
		refused[i] = p.add(&text, k)
		written[id] = text.Len() > before
	}
	if text.Len() == 0 {
		return refused, nil
	}
	if err := appendText(f, text.Bytes()); err != nil {
		return nil, err
	}
	return refused, p.idx().refresh(p.File, f)
}

// add writes the line of one key to text, if it needs one and may have it.
func (p *Policy) add(text *bytes.Buffer, k HostKey) *Error {
	if err, ok := p.checkAlways(k.Addr, k.Key).(*Error); ok {
		return err
	}
	err := p.judge(k.Addr, k.Key)
	switch {
	case err == nil:
		return nil
	case err.Reason == ReasonUnknown, k.Beside && err.OtherType():
	default:
		return err
	}
	name, _ := lineName(k.Addr)
	if !isWritable(name) {
		err.problem = "host key is not in known_hosts, and the host's name cannot be written there"
		return err
	}
	if p.Hash {
		name = hashName(name)
	}
	text.WriteString(name + " " + authorizedKey(certified(k.Key)) + "\n")
	return nil
}

// OtherType says that the host's key counts as changed only because the host is
// known by keys of other types.
func (e *Error) OtherType() bool {
	return e.Reason == ReasonChanged && len(e.Known) > 0 &&
		!slices.ContainsFunc(e.Known, func(k Entry) bool { return k.Key.Type() == plainType(e.Type) })
}

// plainType is the type of the key that a certificate of that type is for.
func plainType(kind string) string {
	if plain, ok := certTypes[kind]; ok {
		return plain
	}
	return kind
}

// Parse reads the text of a known_hosts file that was read from elsewhere; name
// is what its entries give as their file.
func Parse(name, text string) *Index {
	x := newIndex()
	x.addFile(name, nil, text)
	return x
}
