package sshpool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Source is a file to put on hosts, as many as there are: it is opened once,
// and read and hashed once for all of them. The methods may be called at once
// from many goroutines.
type Source struct {
	name string
	r    io.ReaderAt
	size int64
	info fs.FileInfo // of a file; nil for bytes
	file *os.File

	hashing sync.Once
	sum     [sha256.Size]byte
	sumErr  error
}

// OpenSource opens a file of this machine. It is the caller's to close.
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
	return &Source{name: f.Name(), r: f, size: fi.Size(), info: fi, file: f}, nil
}

// BytesSource makes a Source of bytes, which are not changed from now on.
func BytesSource(name string, data []byte) *Source {
	return &Source{name: name, r: bytes.NewReader(data), size: int64(len(data))}
}

// Name is the name that the source was opened by.
func (s *Source) Name() string { return s.name }

// Size is the source's size in bytes when it was opened.
func (s *Source) Size() int64 { return s.size }

// Info describes the file as it was when it was opened; nil where the source is
// no file.
func (s *Source) Info() fs.FileInfo { return s.info }

// SHA256 is the hash of the source. The first call reads it, once for all.
func (s *Source) SHA256(ctx context.Context) ([sha256.Size]byte, error) {
	s.hashing.Do(func() {
		h := sha256.New()
		_, s.sumErr = io.Copy(h, io.NewSectionReader(s.r, 0, s.size))
		h.Sum(s.sum[:0])
	})
	return s.sum, s.sumErr
}

// Close closes the file; puts under way fail.
func (s *Source) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
