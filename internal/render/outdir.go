package render

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"fleet/internal/event"
	"fleet/scheduler"
)

// ToDir gives a sink that also writes what each host wrote into files of dir,
// HOST.out and HOST.err, exact bytes, and hands everything on to next. dir is
// made if it is not there; it is an error if no file can be made in it.
//
// A file appears, or replaces the one of an earlier run, when its host has its
// result; until then its name begins with a dot. A host that ran has both
// files, one that did not has none: those of earlier runs are removed, so that
// no old answer is taken for a new one.
//
// A file that cannot be written ends nothing: the first error is told as a note,
// and Finish returns it with the number of such hosts.
func ToDir(dir string, next Sink) (Sink, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	probe, err := os.CreateTemp(dir, ".fleet-*")
	if err != nil {
		return nil, err
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	return &toDir{Sink: next, dir: dir, open: map[string]*[2]dirFile{}, append: appendFile}, err
}

type toDir struct {
	Sink
	dir    string
	id     string // of the run, in the names of files that are not finished
	append func(name string, p []byte) error

	mu     sync.Mutex
	open   map[string]*[2]dirFile
	err    error // the first one
	failed int   // hosts whose files are not there or not whole
}

// dirFile is a file being written. Bytes gather in memory and are appended,
// so that a file is open only while it is written to. It is used by one call at
// a time.
type dirFile struct {
	buf   []byte
	began bool
	err   error
}

// dirBuffer is how many bytes gather before they are written.
const dirBuffer = 16 << 10

// Start implements event.Sink.
func (d *toDir) Start(r event.Run) {
	d.id = r.ID
	d.Sink.Start(r)
}

// Output implements event.Sink.
func (d *toDir) Output(o event.Output) {
	d.mu.Lock()
	files := d.open[o.Host]
	if files == nil {
		files = new([2]dirFile)
		d.open[o.Host] = files
	}
	d.mu.Unlock()
	i := streamIndex(o.Stream)
	f := &files[i]
	large := len(o.Data) > dirBuffer/2
	if large || len(f.buf)+len(o.Data) > dirBuffer {
		d.flush(f, o.Host, i)
	}
	if large {
		d.put(f, o.Host, i, o.Data)
	} else {
		f.buf = append(f.buf, o.Data...)
	}
	d.Sink.Output(o)
}

// Progress implements event.ProgressSink.
func (d *toDir) Progress(p event.Progress) {
	if next, ok := d.Sink.(event.ProgressSink); ok {
		next.Progress(p)
	}
}

// Resent implements event.RetrySink: only the last try is kept.
func (d *toDir) Resent(host string) {
	d.mu.Lock()
	files := d.open[host]
	d.mu.Unlock()
	for i := 0; files != nil && i < len(files); i++ {
		f := dirFile{}
		if files[i].began {
			f.err = gone(os.Remove(d.partial(host, i)))
		}
		files[i] = f
	}
	d.Sink.Resent(host)
}

func (d *toDir) flush(f *dirFile, host string, i int) {
	if len(f.buf) > 0 {
		d.put(f, host, i, f.buf)
		f.buf = f.buf[:0]
	}
}

// put appends p to the file that is not finished.
func (d *toDir) put(f *dirFile, host string, i int, p []byte) {
	if f.err == nil {
		f.began = true
		f.err = d.append(d.partial(host, i), p)
	}
}

var dirEnds = [2]string{".out", ".err"}

func (d *toDir) final(host string, i int) string {
	return filepath.Join(d.dir, fileName(host)+dirEnds[i])
}

func (d *toDir) partial(host string, i int) string {
	return filepath.Join(d.dir, "."+fileName(host)+dirEnds[i]+"."+d.id)
}

// Result implements event.Sink.
func (d *toDir) Result(r event.Result) {
	d.mu.Lock()
	files := d.open[r.Host]
	delete(d.open, r.Host)
	d.mu.Unlock()
	if files == nil {
		files = new([2]dirFile)
	}
	var first error
	for i := range files {
		if err := d.finishFile(&files[i], r, i); first == nil {
			first = err
		}
	}
	if first != nil {
		d.fail(first)
	}
	d.Sink.Result(r)
}

// finishFile gives a file its name, or takes that of an earlier run away.
func (d *toDir) finishFile(f *dirFile, r event.Result, i int) error {
	final, partial := d.final(r.Host, i), d.partial(r.Host, i)
	if !ran(r) && !f.began && len(f.buf) == 0 {
		return gone(os.Remove(final))
	}
	d.flush(f, r.Host, i)
	if !f.began {
		d.put(f, r.Host, i, nil) // an empty file
	}
	if f.err == nil {
		f.err = os.Rename(partial, final)
	}
	if f.err != nil { // no old answer stays for a new one
		return errors.Join(f.err, gone(os.Remove(partial)), gone(os.Remove(final)))
	}
	return nil
}

// ran says that a host's command may have run. Of one that was canceled something
// else must tell so: it may have been canceled before it was sent.
func ran(r event.Result) bool {
	switch r.Outcome {
	case scheduler.Skipped, scheduler.Unreachable:
		return false
	case scheduler.Canceled:
		return r.Kill != "" || r.Run > 0 || r.StdoutBytes+r.StderrBytes > 0
	}
	return true
}

// gone is the error of a removal, if it is not that there was nothing.
func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// fail counts a host whose files are missing, and tells of the first.
func (d *toDir) fail(err error) {
	d.failed++
	if d.err == nil {
		d.err = err
		d.Note("fleet: --out-dir: " + strings.ReplaceAll(err.Error(), "\n", "; ") + "; the run goes on")
	}
}

// Finish implements event.Sink.
func (d *toDir) Finish(s event.Summary) error {
	err := d.Sink.Finish(s)
	if d.err != nil {
		hosts := plural(d.failed, "host")
		err = errors.Join(err, fmt.Errorf("--out-dir: output of %s is not in %s: %w", hosts, d.dir, d.err))
	}
	return err
}

// appendFile appends p to a file of that name, made if it is not there.
func appendFile(name string, p []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(p)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// nameMax is how long the part of a file's name that is a host's may be.
const nameMax = 200

// fileName makes a host's name the name of a file, no other host's: what is not
// plain becomes %XX, and a long name ends in a sum of it all.
func fileName(host string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@:+="
	var b strings.Builder
	for i := 0; i < len(host); i++ {
		if c := host[i]; strings.IndexByte(plain, c) >= 0 && (i > 0 || c != '.' && c != '-') {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	name := b.String()
	if len(name) <= nameMax {
		return name
	}
	sum := sha256.Sum256([]byte(host))
	return name[:nameMax-33] + "~" + hex.EncodeToString(sum[:16])
}
