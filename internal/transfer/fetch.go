package transfer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"fleet/scheduler"
)

// fetchScript writes the files that its input names as tar archives, one after
// the other. $2 is their folder, the words after $2 are options of tar.
const fetchScript = `case $2 in /*) b=$2 ;; *) b=./$2 ;; esac
shift 2
cd "$b" || exit 3
xargs -0 tar -cf - "$@" --
`

// fetch reads files of the host: take is called for each that comes, in no
// promised order, and reads as much as it likes. What did not come is for the
// caller to find out; the result tells what tar complained of. An error of take
// ends it.
func (f *far) fetch(ctx context.Context, base string, options, names []string, take func(*tar.Header, io.Reader) error) (scriptResult, error) {
	if f.sftp != nil {
		return f.fetchBySFTP(ctx, base, names, take)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r, w := io.Pipe()
	read := make(chan error, 1)
	go func() {
		err := readArchives(r, take)
		if err != nil {
			stop() // the host need not go on
		}
		r.CloseWithError(err)
		read <- err
	}()
	list := "./" + strings.Join(names, "\x00./") + "\x00"
	res, err := f.script(ctx, nonce(), fetchScript, append([]string{base}, options...), strings.NewReader(list), w)
	if err != nil {
		w.CloseWithError(err)
	} else {
		w.Close()
	}
	if readErr := <-read; readErr != nil && !(err != nil && errors.Is(readErr, err)) {
		return res, readErr
	}
	return res, err
}

// readArchives reads tar archives to the end of r.
func readArchives(r io.Reader, take func(*tar.Header, io.Reader) error) error {
	b := bufio.NewReaderSize(r, 256<<10)
	for {
		more, err := skipZeros(b)
		if err != nil || !more {
			return err
		}
		if err := readArchive(b, take); err != nil {
			return err
		}
	}
}

func readArchive(r io.Reader, take func(*tar.Header, io.Reader) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, tar.ErrHeader):
			return &Failure{Kind: scheduler.KindRemote, Text: "read what the host sends: not a tar archive", Err: err}
		case err != nil:
			return err
		}
		if err := take(h, t); err != nil {
			return err
		}
	}
}

// skipZeros skips the padding between archives and says whether more follows.
func skipZeros(b *bufio.Reader) (more bool, err error) {
	var zeros [512]byte
	for {
		block, err := b.Peek(len(zeros))
		if err == io.EOF && len(bytes.Trim(block, "\x00")) == 0 {
			return false, nil
		}
		if err == io.EOF {
			return false, &Failure{Kind: scheduler.KindRemote, Text: "read what the host sends: not a tar archive"}
		}
		if err != nil {
			return false, err
		}
		if !bytes.Equal(block, zeros[:]) {
			return true, nil
		}
		if _, err := b.Discard(len(zeros)); err != nil {
			return false, err
		}
	}
}
