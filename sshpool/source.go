package sshpool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Source is a file to put on hosts, as many as there are: it is opened once,
// read and hashed once for all that ask at about the same time, and never more
// of it is in memory than sourceBudget. That somebody changes it meanwhile is
// noticed. The methods may be called at once from many goroutines.
type Source struct {
	name string
	r    io.ReaderAt
	size int64
	file *os.File    // nil where it is no file
	info fs.FileInfo // of file, when it was opened

	id     string // names the content
	blocks blocks
	sum    sourceSum
}

// OpenSource opens a regular file of this machine. It is the caller's to close.
func OpenSource(name string) (*Source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s, err := FileSource(f)
	if err != nil {
		f.Close()
	}
	return s, err
}

// FileSource makes a Source of an open regular file, which Close closes.
func FileSource(f *os.File) (*Source, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "put", Path: f.Name(), Err: errNotRegular}
	}
	s := &Source{name: f.Name(), r: f, size: fi.Size(), info: fi, file: f}
	s.start()
	full, err := filepath.Abs(f.Name())
	if err != nil {
		full = f.Name()
	}
	host, _ := os.Hostname()
	s.id = identity(fmt.Sprintf("file\x00%s\x00%s\x00%d\x00%d\x00%v", host, full, s.size, fi.ModTime().UnixNano(), changeTime(fi)))
	return s, nil
}

// BytesSource makes a Source of bytes, which are not changed from now on. The
// name is for messages.
func BytesSource(name string, data []byte) *Source {
	s := &Source{name: name, r: bytes.NewReader(data), size: int64(len(data))}
	s.start()
	sum := sha256.Sum256(data)
	s.id = identity("bytes\x00" + string(sum[:]))
	return s
}

// identity is a short name for what the text says.
func identity(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// Name is the name that the source was opened by.
func (s *Source) Name() string { return s.name }

// Size is the source's size in bytes when it was opened.
func (s *Source) Size() int64 { return s.size }

// Info describes the file as it was when it was opened; nil where the source is
// no file.
func (s *Source) Info() fs.FileInfo { return s.info }

// Close closes the file; puts under way fail.
func (s *Source) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// changed is the error of a source that is not what it was when it was opened.
func (s *Source) changed() error {
	if s.file == nil {
		return nil
	}
	fi, err := s.file.Stat()
	if err != nil {
		return localError(s.name, err)
	}
	if fi.Size() != s.size || !fi.ModTime().Equal(s.info.ModTime()) {
		return &Error{Kind: KindChanged, Stage: StageTransfer, Text: quoteName(s.name) + ": changed while it was read"}
	}
	return nil
}

// localError is the error of a file of this machine.
func localError(name string, err error) *Error {
	e := &Error{Kind: KindLocal, Stage: StageTransfer, Err: err}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	e.Text = excerpt([]byte(err.Error()))
	e.Text = e.Text[1 : len(e.Text)-1]
	return withName(e, name)
}

const (
	// blockSize is what is read of a source at once: four of OpenSSH's longest
	// writes.
	blockSize = 4 * 255 << 10
	// sourceBudget bounds the blocks that are kept for others who may want them.
	sourceBudget = 48 << 20
	maxBlocks    = sourceBudget / blockSize
)

// blocks keeps what was last read of a source.
type blocks struct {
	mu   sync.Mutex
	kept map[int64]*block
	used []int64 // the longest unused first
	read int64   // bytes read of the source in all
}

// block is a piece of a source, read by the first who wants it.
type block struct {
	once sync.Once
	data []byte
	err  error
}

// block gives the piece of the source that begins at i*blockSize. Its bytes are
// not changed, by nobody.
func (s *Source) block(i int64) ([]byte, error) {
	b := s.blocks.get(i)
	b.once.Do(func() {
		at := i * blockSize
		data := make([]byte, min(blockSize, s.size-at))
		n, err := s.r.ReadAt(data, at)
		s.blocks.count(n)
		switch {
		case n == len(data):
			b.data = data
		case err == io.EOF:
			b.err = &Error{Kind: KindChanged, Stage: StageTransfer, Text: quoteName(s.name) + ": grew shorter while it was read"}
		default:
			b.err = localError(s.name, err)
		}
	})
	return b.data, b.err
}

// at gives the bytes of the source from a place on, as many as stand together,
// at most limit.
func (s *Source) at(place int64, limit int) ([]byte, error) {
	b, err := s.block(place / blockSize)
	if err != nil {
		return nil, err
	}
	b = b[place%blockSize:]
	return b[:min(len(b), limit)], nil
}

func (b *blocks) get(i int64) *block {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		b.kept = map[int64]*block{}
	}
	for at, j := range b.used {
		if j == i {
			copy(b.used[at:], b.used[at+1:])
			b.used[len(b.used)-1] = i
			return b.kept[i]
		}
	}
	if len(b.used) >= maxBlocks {
		delete(b.kept, b.used[0])
		b.used = append(b.used[:0], b.used[1:]...)
	}
	b.kept[i] = &block{}
	b.used = append(b.used, i)
	return b.kept[i]
}

func (b *blocks) count(n int) {
	b.mu.Lock()
	b.read += int64(n)
	b.mu.Unlock()
}

// statesEvery is after how many blocks the state of the hash is kept, for hashes
// of the source's begin.
const statesEvery = 16

// sourceSum is the source's hash, computed once in the background.
type sourceSum struct {
	once   sync.Once
	done   chan struct{}
	sum    [sha256.Size]byte
	err    error
	mu     sync.Mutex
	states [][]byte // after each statesEvery blocks
}

// start prepares the source.
func (s *Source) start() { s.sum.done = make(chan struct{}) }

// hash starts to compute the hash, if nobody has.
func (s *Source) hash() {
	s.sum.once.Do(func() {
		go func() {
			defer close(s.sum.done)
			h := sha256.New()
			for i := int64(0); i*blockSize < s.size; i++ {
				if i%statesEvery == 0 {
					s.sum.keep(h)
				}
				b, err := s.block(i)
				if err != nil {
					s.sum.err = err
					return
				}
				h.Write(b)
			}
			if s.sum.err = s.changed(); s.sum.err == nil {
				h.Sum(s.sum.sum[:0])
			}
		}()
	})
}

func (s *sourceSum) keep(h hash.Hash) {
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return
	}
	s.mu.Lock()
	s.states = append(s.states, state)
	s.mu.Unlock()
}

// SHA256 is the hash of the source, computed once for all who ask. The error is
// of type *Error: KindChanged where the source was changed meanwhile, KindLocal
// where it cannot be read, KindCanceled where ctx ended.
func (s *Source) SHA256(ctx context.Context) ([sha256.Size]byte, error) {
	s.hash()
	select {
	case <-s.sum.done:
		return s.sum.sum, s.sum.err
	case <-ctx.Done():
		return [sha256.Size]byte{}, canceledError(ctx, "put", StageTransfer)
	}
}

// prefix is the hash of the source's first n bytes.
func (s *Source) prefix(ctx context.Context, n int64) (sum [sha256.Size]byte, err error) {
	h := sha256.New()
	s.sum.mu.Lock()
	known := min(int(n/(blockSize*statesEvery)), len(s.sum.states)-1)
	at := int64(0)
	if known > 0 && h.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.sum.states[known]) == nil {
		at = int64(known) * blockSize * statesEvery
	}
	s.sum.mu.Unlock()
	for at < n {
		if ctx.Err() != nil {
			return sum, canceledError(ctx, "put", StageTransfer)
		}
		b, err := s.at(at, int(min(n-at, blockSize)))
		if err != nil {
			return sum, err
		}
		h.Write(b)
		at += int64(len(b))
	}
	h.Sum(sum[:0])
	return sum, nil
}
