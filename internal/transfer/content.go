package transfer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// content is what a file holds, where it is in memory.
type content struct{ data []byte }

// digest is the SHA-256 of a file's content.
type digest [sha256.Size]byte

// digests remembers the digests of files of this machine, so that they are
// computed once for all hosts. It is safe for concurrent use.
type digests struct {
	mu   sync.Mutex
	list map[*Entry]digest
}

func (d *digests) get(e *Entry) (digest, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum, ok := d.list[e.original()]
	return sum, ok
}

func (d *digests) put(e *Entry, sum digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.list == nil {
		d.list = make(map[*Entry]digest)
	}
	d.list[e.original()] = sum
}

// pages keeps the content of small files for the hosts that want them next,
// within a budget.
type pages struct {
	left atomic.Int64
	mu   sync.Mutex
	list map[*Entry][]byte
}

// Sizes of what is kept: of all files, and of one.
const (
	pagesTotal = 64 << 20
	pagesFile  = 1 << 20
)

func (p *pages) get(e *Entry) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list[e.original()]
}

// put keeps data, which nobody changes any more.
func (p *pages) put(e *Entry, data []byte) {
	if n := int64(len(data)); n > pagesFile || p.left.Add(-n) < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		p.list = make(map[*Entry][]byte)
	}
	p.list[e.original()] = data
}

// changedError says that a source did not hold still.
type changedError struct{ file string }

func (e *changedError) Error() string { return e.file + ": changed while it was read" }

// send writes the content of e, exactly e.Size bytes, and gives its digest.
// Small files are read whole before anything is written.
func (p *Push) send(w io.Writer, e *Entry, buf []byte) (digest, error) {
	if e.content != nil {
		return p.sendBytes(w, e, e.content.data)
	}
	if data := p.pages.get(e); data != nil || e.Size == 0 {
		return p.sendBytes(w, e, data)
	}
	f, err := os.Open(e.local)
	if err != nil {
		return digest{}, err
	}
	defer f.Close()
	if e.Size <= int64(len(buf)) || p.keepsPages && e.Size <= pagesFile {
		data := buf[:min(int(e.Size), len(buf))]
		if p.keepsPages && e.Size <= pagesFile {
			data = make([]byte, e.Size)
		}
		if _, err := io.ReadFull(f, data); err != nil {
			return digest{}, p.short(e, err)
		}
		if err := unchanged(f, e); err != nil {
			return digest{}, err
		}
		if p.keepsPages {
			p.pages.put(e, data)
		}
		return p.sendBytes(w, e, data)
	}
	return p.sendFile(w, f, e, buf)
}

func (p *Push) sendBytes(w io.Writer, e *Entry, data []byte) (digest, error) {
	sum, known := p.digests.get(e)
	if !known {
		sum = sha256.Sum256(data)
		p.digests.put(e, sum)
	}
	_, err := w.Write(data)
	return sum, err
}

// sendFile writes a file piece by piece.
func (p *Push) sendFile(w io.Writer, f *os.File, e *Entry, buf []byte) (digest, error) {
	sum, known := p.digests.get(e)
	h := sha256.New()
	for left := e.Size; left > 0; {
		n, err := io.ReadFull(f, buf[:min(int64(len(buf)), left)])
		if err != nil {
			return sum, p.short(e, err)
		}
		if !known {
			h.Write(buf[:n])
		}
		if _, err := w.Write(buf[:n]); err != nil {
			return sum, err
		}
		left -= int64(n)
	}
	if err := unchanged(f, e); err != nil {
		return sum, err
	}
	if !known {
		h.Sum(sum[:0])
		p.digests.put(e, sum)
	}
	return sum, nil
}

func (p *Push) short(e *Entry, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return &changedError{e.local}
	}
	return err
}

// unchanged says that a file is as it was when it was scanned.
func unchanged(f *os.File, e *Entry) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if fingerprintOf(info) != e.seen {
		return &changedError{e.local}
	}
	return nil
}

// digest gives the digest of a source.
func (p *Push) digest(e *Entry) (digest, error) {
	if sum, ok := p.digests.get(e); ok {
		return sum, nil
	}
	return p.send(io.Discard, e, make([]byte, bufferSize))
}

// digestFile is the digest of all that r gives.
func digestFile(r io.Reader) (sum digest, err error) {
	h := sha256.New()
	_, err = io.Copy(h, r)
	h.Sum(sum[:0])
	return sum, err
}

// bufferSize is that of the buffers which files are read with.
const bufferSize = 128 << 10

// read gives the whole content of a source that is small.
func (p *Push) read(e *Entry) ([]byte, error) {
	var b bytes.Buffer
	_, err := p.send(&b, e, make([]byte, bufferSize))
	return b.Bytes(), err
}

// spool takes all of r, into memory or a file that is removed with the Push.
func (p *Push) spool(r io.Reader) (*Entry, error) {
	e := &Entry{Kind: File, Mode: 0o644}
	head, err := io.ReadAll(io.LimitReader(r, spoolMemory))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(head) < spoolMemory {
		e.content, e.Size = &content{head}, int64(len(head))
		return e, nil
	}
	f, err := os.CreateTemp("", "fleet-push-*")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !p.spooled.add(f.Name()) {
		return nil, errors.Join(os.ErrClosed, os.Remove(f.Name()))
	}
	n, err := io.Copy(f, io.MultiReader(bytes.NewReader(head), r))
	if err != nil {
		return nil, fmt.Errorf("keep standard input: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	e.Size, e.local, e.seen = n, f.Name(), fingerprintOf(info)
	return e, nil
}

// spooled are files that go with the Push. It may be closed while standard input is
// still read, as nothing else ends that.
type spooled struct {
	mu     sync.Mutex
	names  []string
	closed bool
}

// add notes a file; ok says that it was not too late.
func (s *spooled) add(name string) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.names = append(s.names, name)
	}
	return !s.closed
}

func (s *spooled) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, name := range s.names {
		errs = append(errs, os.Remove(name))
	}
	s.names, s.closed = nil, true
	return errors.Join(errs...)
}

// spoolMemory is how much of standard input is kept in memory.
const spoolMemory = 16 << 20
