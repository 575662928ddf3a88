package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"fleet/sshpool"
)

// fetched is a file that was read, or why it was not.
type fetched struct {
	name string
	data []byte
	info fs.FileInfo // nil where the file is yet to be read
	err  error
}

// fetchBySFTP reads files as fetch does: small ones many at once, each of them
// told as a tar archive would.
func (f *far) fetchBySFTP(ctx context.Context, base string, names []string, take func(*tar.Header, io.Reader) error) (scriptResult, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	came := make(chan fetched)
	done := make(chan error, 1)
	go func() {
		done <- each(ctx, len(names), func(ctx context.Context, i int) error {
			got := f.readSmall(ctx, base, names[i])
			select {
			case came <- got:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		close(came)
	}()
	var res scriptResult
	var failed error
	for got := range came {
		if failed != nil {
			continue
		}
		switch {
		case got.err != nil && absent(got.err):
			res.stderr = append(res.stderr, complaintOf(got.name, got.err)...)
			continue
		case got.err != nil:
			failed = got.err
		case got.info != nil && got.data == nil:
			failed = f.readLong(ctx, base, got, take)
		default:
			failed = take(headerOf(got), bytes.NewReader(got.data))
		}
		if failed != nil {
			stop()
		}
	}
	if err := <-done; failed == nil {
		failed = err
	}
	return res, failed
}

// complaintOf is a line as a tool of a host would write it.
func complaintOf(name string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return name + ": No such file or directory\n"
	case errors.Is(err, fs.ErrPermission):
		return name + ": Permission denied\n"
	}
	return name + ": " + err.Error() + "\n"
}

// headerOf describes a file that was read.
func headerOf(got fetched) *tar.Header {
	return &tar.Header{Name: got.name, Size: int64(len(got.data)), ModTime: got.info.ModTime(), Typeflag: tar.TypeReg}
}

// readSmall reads a file, or only looks at it if it is not small.
func (f *far) readSmall(ctx context.Context, base, name string) fetched {
	got := fetched{name: name}
	full := inFolder(base, name)
	// A FIFO would not be opened before somebody writes to it.
	info, err := f.sftp.Stat(ctx, full)
	if err != nil || !info.Mode().IsRegular() {
		if err == nil {
			err = fmt.Errorf("not a regular file: %w", fs.ErrNotExist)
		}
		got.err = err
		return got
	}
	if info.Size() > sshpool.SmallFile {
		got.info = info
		return got
	}
	if got.err = f.wait(ctx, int(info.Size())); got.err != nil {
		return got
	}
	got.data, got.info, got.err = f.sftp.ReadSmall(ctx, full, int(info.Size()), sshpool.SmallFile)
	if isKind(got.err, sshpool.KindTooLarge) { // it has grown meanwhile
		return fetched{name: name, info: info}
	}
	if got.err == nil && got.data == nil {
		got.data = []byte{}
	}
	return got
}

// readLong reads a file piece by piece.
func (f *far) readLong(ctx context.Context, base string, got fetched, take func(*tar.Header, io.Reader) error) error {
	file, err := f.sftp.Open(ctx, inFolder(base, got.name))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: got.name, Size: info.Size(), ModTime: info.ModTime(), Typeflag: tar.TypeReg}
	r, w := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, w2 := pace(ctx, f.rates, nil, w)
		_, err := file.WriteTo(w2)
		w.CloseWithError(err)
	}()
	err = take(h, io.LimitReader(r, info.Size()))
	r.CloseWithError(io.ErrClosedPipe)
	<-written
	return err
}

// digestsBySFTP computes digests of files by reading them.
func (f *far) digestsBySFTP(ctx context.Context, base string, names []string) (map[string]digest, error) {
	sums := make(map[string]digest, len(names))
	_, err := f.fetchBySFTP(ctx, base, names, func(h *tar.Header, r io.Reader) error {
		sum := sha256.New()
		if _, err := io.Copy(sum, r); err != nil {
			return err
		}
		sums[h.Name] = digest(sum.Sum(nil))
		return nil
	})
	return sums, err
}

// seconds is a time that SFTP can carry, which counts from 1970 to 2106.
func seconds(unix int64) time.Time {
	return time.Unix(min(max(unix, 0), 1<<32-1), 0)
}
