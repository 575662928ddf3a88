package engine

import (
	"errors"
	"io"
	"os"
	"sync"
)

// Input is what all hosts of a run read: it is taken once, and each host gets all
// of it from the beginning, at its own pace. A file is read where it lies. All
// else goes to a file without a name in the folder for temporary files, so that
// memory is bounded; hosts read there what has come.
type Input struct {
	file *os.File
	own  bool // the file is ours, and grows

	mu     sync.Mutex
	more   sync.Cond
	size   int64
	ended  bool
	err    error
	closed bool
}

// NewInput takes from, which stays the caller's and is read until its end. The
// caller closes what it gets.
func NewInput(from *os.File) (*Input, error) {
	in := &Input{file: from}
	in.more.L = &in.mu
	info, err := from.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, &os.PathError{Op: "read", Path: from.Name(), Err: errors.New("is a folder")}
	}
	if info.Mode().IsRegular() {
		at, err := from.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if at == 0 {
			in.size, in.ended = info.Size(), true
			return in, nil
		}
	}
	in.own = true
	if in.file, err = os.CreateTemp("", "fleet-input-"); err != nil {
		return nil, err
	}
	if err := os.Remove(in.file.Name()); err != nil {
		in.file.Close()
		return nil, err
	}
	go in.take(from) // until from ends, or the process
	return in, nil
}

func (in *Input) take(from io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		in.mu.Lock()
		if in.closed {
			in.mu.Unlock()
			return
		}
		if n > 0 {
			if _, werr := in.file.WriteAt(buf[:n], in.size); werr != nil && (err == nil || err == io.EOF) {
				n, err = 0, werr
			}
			in.size += int64(n)
		}
		if err != nil {
			if in.ended = true; err != io.EOF {
				in.err = err
			}
		}
		in.more.Broadcast()
		in.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Close ends all reading. A nil Input has nothing to close.
func (in *Input) Close() error {
	if in == nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.more.Broadcast()
	if in.own {
		return in.file.Close()
	}
	return nil
}

// Reader gives one host's view of it, from the beginning.
func (in *Input) Reader() io.Reader { return &inputReader{in: in} }

type inputReader struct {
	in *Input
	at int64
}

// Read waits while there is no more yet. Its end is io.EOF only where that of the
// input is: a host that got a part must not take that for all.
func (r *inputReader) Read(p []byte) (int, error) {
	in := r.in
	in.mu.Lock()
	for r.at >= in.size && !in.ended && !in.closed {
		in.more.Wait()
	}
	size, closed, err := in.size, in.closed, in.err
	in.mu.Unlock()
	switch {
	case closed:
		return 0, os.ErrClosed
	case r.at >= size && err != nil:
		return 0, err
	case r.at >= size:
		return 0, io.EOF
	}
	n, err := in.file.ReadAt(p[:min(int64(len(p)), size-r.at)], r.at)
	r.at += int64(n)
	if n > 0 {
		return n, nil
	}
	if err == nil || err == io.EOF {
		err = &os.PathError{Op: "read", Path: in.file.Name(), Err: errors.New("grew shorter while it was read")}
	}
	return 0, err
}
