package output

import (
	"io"
	"os"
)

// file is what a spill needs of the disk.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

// openSpill makes a file in dir that only its descriptor can reach: it has mode
// 0600 and its name is removed at once, so nothing is left behind however the
// process ends. What it holds is sealed.
func openSpill(dir string) (file, error) {
	f, err := os.CreateTemp(dir, "fleet-spill-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, firstErr(err, f.Close())
	}
	return seal(f)
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
