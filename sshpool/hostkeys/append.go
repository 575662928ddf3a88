package hostkeys

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// lockLimit bounds the wait for another process that holds the file.
const lockLimit = 5 * time.Second

// keeper writes the keys of new hosts. Those who come while a write is under
// way wait for it and are then written together: one lock and one fsync for all.
type keeper struct {
	mu      sync.Mutex
	waiting []*newKey
	limit   time.Duration // instead of lockLimit, if not 0

	writing sync.Mutex // held by the one who writes
	failed  int        // keys that could not be written
	cause   error      // the first time
}

// newKey is a new host's key on its way into the file.
type newKey struct {
	addr string
	name string
	key  ssh.PublicKey
	done bool
	err  *Error
}

// accept adds the key of a new host to the file and the index. It refuses it
// if by now the host has another key: from another process, or from this run.
func (p *Policy) accept(addr string, key ssh.PublicKey) *Error {
	name, _ := lineName(addr)
	if !isWritable(name) {
		err := newError(ReasonUnknown, addr, key, nil)
		err.problem = "host key is not in known_hosts, and the host's name cannot be written there"
		return err
	}
	k := &newKey{addr: addr, name: name, key: key}
	p.keep.mu.Lock()
	p.keep.waiting = append(p.keep.waiting, k)
	p.keep.mu.Unlock()

	p.keep.writing.Lock()
	defer p.keep.writing.Unlock()
	if !k.done {
		p.keep.mu.Lock()
		batch := p.keep.waiting
		p.keep.waiting = nil
		p.keep.mu.Unlock()
		p.write(batch)
	}
	return k.err
}

// write brings a batch into the file and the index and settles each of its keys.
func (p *Policy) write(batch []*newKey) {
	err := p.appendFile(batch)
	// What is not in the file now holds for this run: after an error, and for
	// files that cannot be read back, such as /dev/null.
	pinned := p.pin(batch)
	if err != nil && pinned > 0 {
		p.keep.failed += pinned
		if p.keep.cause == nil {
			p.keep.cause = err
		}
	}
	for _, k := range batch {
		k.done = true
		k.err = p.judge(k.addr, k.key)
	}
}

// Unwritten is nil, or says how many accepted keys could not be written and why.
func (p *Policy) Unwritten() error {
	p.keep.writing.Lock()
	defer p.keep.writing.Unlock()
	switch p.keep.failed {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("known_hosts: 1 new key was not written: %w", p.keep.cause)
	}
	return fmt.Errorf("known_hosts: %d new keys were not written: %w", p.keep.failed, p.keep.cause)
}

// pin adds to the index, for this run, those keys of a batch whose host has
// none, and says how many.
func (p *Policy) pin(batch []*newKey) int {
	list := p.fresh(batch)
	for _, k := range list {
		p.idx().pin(k.name + " " + authorizedKey(k.key))
	}
	return len(list)
}

// fresh gives the first key of each host in a batch that the index does not know.
func (p *Policy) fresh(batch []*newKey) []*newKey {
	var list []*newKey
	seen := make(map[string]bool)
	for _, k := range batch {
		if seen[k.name] {
			continue
		}
		if err := p.judge(k.addr, k.key); err != nil && err.Reason == ReasonUnknown {
			seen[k.name] = true
			list = append(list, k)
		}
	}
	return list
}

var errNoFile = errors.New("no file to write to")

// appendFile appends the keys of a batch that are still new to the file, after
// reading what others have added to it since.
func (p *Policy) appendFile(batch []*newKey) error {
	if p.File == "" {
		return errNoFile
	}
	wait := lockLimit
	switch {
	case p.keep.cause != nil:
		wait = 0 // once is enough
	case p.keep.limit > 0:
		wait = p.keep.limit
	}
	f, err := openLocked(p.File, wait)
	if err != nil {
		return err
	}
	defer f.Close() // and unlock
	if err := p.idx().refresh(p.File, f); err != nil {
		return err
	}
	var text bytes.Buffer
	for _, k := range p.fresh(batch) {
		name := k.name
		if p.Hash {
			name = hashName(name)
		}
		text.WriteString(name + " " + authorizedKey(k.key) + "\n")
	}
	if text.Len() == 0 {
		return nil
	}
	if err := appendText(f, text.Bytes()); err != nil {
		return err
	}
	return p.idx().refresh(p.File, f)
}

// appendText writes text to the end of f in one piece, on a line of its own, and brings
// it to the disk. What it wrote in part it takes back.
func appendText(f *os.File, text []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size > 0 {
		var last [1]byte
		if _, err := f.ReadAt(last[:], size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			text = append([]byte{'\n'}, text...)
		}
	}
	n, err := f.Write(text)
	if err == nil && info.Mode().IsRegular() {
		err = f.Sync()
	}
	if err == nil {
		return nil
	}
	if now, statErr := f.Stat(); statErr == nil && n > 0 && now.Size() == size+int64(n) {
		return errors.Join(err, f.Truncate(size))
	}
	return err
}

// openLocked opens a file for appending, made with its folder if need be, and
// locks it. The lock goes with the file's closing.
func openLocked(name string, wait time.Duration) (*os.File, error) {
	deadline := time.Now().Add(wait)
	for {
		f, err := openAppend(name)
		if err != nil {
			return nil, err
		}
		if err := lock(f, deadline); err != nil {
			f.Close()
			return nil, err
		}
		// ssh-keygen -R and UpdateHostKeys put a new file in the place of the old.
		ours, err1 := f.Stat()
		there, err2 := os.Stat(name)
		if err1 == nil && err2 == nil && os.SameFile(ours, there) {
			return f, nil
		}
		f.Close()
		if time.Now().After(deadline) {
			return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("file is being replaced again and again")}
		}
	}
}

// openAppend opens a file for reading and appending. A new one is the user's
// alone (0600), as is a new folder (0700).
func openAppend(name string) (*os.File, error) {
	const mode = os.O_RDWR | os.O_APPEND
	f, err := os.OpenFile(name, mode, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err = os.OpenFile(name, mode|os.O_CREATE, 0o600)
	if err == nil {
		syncDir(dir)
	}
	return f, err
}

// syncDir brings a new file's name to the disk. Where folders cannot be synced
// the key is still in the file, so there is nothing to report.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}

// lock takes the file's lock, by flock(2), before the deadline.
func lock(f *os.File, deadline time.Time) error {
	pause := time.Millisecond
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case err == unix.EINTR:
			continue
		case err != unix.EWOULDBLOCK:
			return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		case time.Now().After(deadline):
			return &fs.PathError{Op: "lock", Path: f.Name(), Err: errors.New("held by another process")}
		}
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// refresh takes in what was added to a file since it was last read; all of it
// if another file stands in its place.
func (x *Index) refresh(name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err // of what is written to a device or pipe, nothing is to be read
	}
	in, offset := x.resume(name, info)
	text, _, err := readFrom(f, offset)
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if in < 0 {
		x.files = append(x.files, file{name: name})
		in = int32(len(x.files) - 1)
	}
	x.files[in].info = info
	x.addText(in, text)
	return nil
}

// resume gives the file in the index that goes on in the open one, and from
// where; -1 if it is to be read anew.
func (x *Index) resume(name string, info fs.FileInfo) (in int32, offset int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.files {
		f := &x.files[i]
		if f.name != name || f.gone {
			continue
		}
		if f.info == nil || os.SameFile(f.info, info) && info.Size() >= f.size {
			return int32(i), f.size
		}
		f.gone = true
		x.search.forget()
	}
	return -1, 0
}

// pin adds a line that stands in no file.
func (x *Index) pin(text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	l, blob, err := parseLine(text, nil)
	if err != nil {
		return // a type of key that no file could hold
	}
	if x.pinned == 0 {
		x.files = append(x.files, file{})
		x.pinned = len(x.files)
	}
	l.file = int32(x.pinned - 1)
	_ = x.addLine(l, blob) // cannot fail: the name is not hashed
}

// isWritable says whether a name can stand in a file and will mean itself only.
func isWritable(name string) bool {
	if name == "" || strings.ContainsAny(name, ",*?!|#@\"") {
		return false
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] == 0x7f {
			return false
		}
	}
	return true
}

// authorizedKey is a key as a line of known_hosts has it, without names.
func authorizedKey(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}
