package sshpool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Small files in great number go by few round trips each, and many of them at
// once: all that is to happen to an open file is asked for before the first
// answer is there. Servers do it in that order, as section 4.1 of the draft has
// it; those that do not are found out by a look at the closed file.

// NewFile is a small file that WriteNew makes.
type NewFile struct {
	Data     []byte      // the content, not changed meanwhile
	Mode     fs.FileMode // permissions in the end, whatever the host's umask
	ModTime  time.Time   // to the second; zero: now
	UID, GID *int        // owner and group, by number; nil: as they come. Both or none
	Verify   bool        // read it back and compare
	Sync     bool        // have it on the host's disk, where the server has fsync@openssh.com
}

// SmallFile is the size in bytes up to which a file is for WriteNew and
// ReadSmall: both have all of it in memory.
const SmallFile = 256 << 10

// WriteNew makes a file that is not there yet, complete, in two round trips. What
// it has begun is not removed where it fails. KindMismatch
// says that what was read back is something else.
func (s *SFTP) WriteNew(ctx context.Context, name string, f NewFile) error {
	const write, create, excl, read = 2, 8, 32, 1
	a, err := s.link.ask(ctx, fxpOpen, func(m []byte) []byte {
		return appendPerm(binary.BigEndian.AppendUint32(appendString(m, name), read|write|create|excl), 0o600)
	})
	handle, err := a.handle(err)
	if err != nil {
		return s.pathError(ctx, "create", name, err)
	}
	b := &batch{l: s.link, ctx: ctx}
	for at := 0; at < len(f.Data); {
		piece := f.Data[at:min(len(f.Data), at+int(s.link.maxWrite.Load()))]
		b.send(fxpWrite, piece, func(m []byte) []byte {
			m = binary.BigEndian.AppendUint64(appendString(m, handle), uint64(at))
			return binary.BigEndian.AppendUint32(m, uint32(len(piece)))
		})
		at += len(piece)
	}
	if f.UID != nil && f.GID != nil { // before the mode: it takes setuid away
		b.send(fxpFsetstat, nil, func(m []byte) []byte {
			m = binary.BigEndian.AppendUint32(appendString(m, handle), attrOwner)
			return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(m, uint32(*f.UID)), uint32(*f.GID))
		})
	}
	b.send(fxpFsetstat, nil, func(m []byte) []byte {
		flags := uint32(attrPermissions)
		if !f.ModTime.IsZero() {
			flags |= attrTimes
		}
		m = binary.BigEndian.AppendUint32(appendString(m, handle), flags)
		m = binary.BigEndian.AppendUint32(m, modeBits(f.Mode))
		if f.ModTime.IsZero() {
			return m
		}
		when := uint32(f.ModTime.Unix())
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(m, when), when)
	})
	if _, ok := s.Offers(extFsync); ok && f.Sync {
		b.send(fxpExtended, nil, func(m []byte) []byte { return appendString(appendString(m, extFsync), handle) })
	}
	did := len(b.asks)
	if f.Verify {
		b.reads(handle, len(f.Data))
	}
	b.send(fxpClose, nil, func(m []byte) []byte { return appendString(m, handle) })
	b.send(fxpLstat, nil, func(m []byte) []byte { return appendString(m, name) })
	return s.written(b, did, name, f)
}

// written judges the answers to WriteNew's requests, of which the first did are
// changes and the last two close the file and look at it.
func (s *SFTP) written(b *batch, did int, name string, f NewFile) error {
	defer b.release()
	if err := b.wait(); err != nil {
		return s.pathError(b.ctx, "write", name, err)
	}
	end := len(b.asks) - 2
	for i, a := range b.asks[:end+1] {
		if i >= did && i < end {
			continue
		}
		if err := a.status(a.err); err != nil {
			return s.pathError(b.ctx, "write", name, err)
		}
	}
	info, err := b.asks[end+1].attrs(name, b.asks[end+1].err)
	if err != nil {
		return s.pathError(b.ctx, "stat", name, err)
	}
	if info.Size() != int64(len(f.Data)) {
		return s.notWhatWasSent(name)
	}
	if f.Verify {
		if err := s.readsAs(b, b.asks[did:end], name, f.Data); err != nil {
			return err
		}
	}
	return s.settled(b.ctx, name, info, f)
}

func (s *SFTP) notWhatWasSent(name string) error {
	return &Error{Op: "write", Kind: KindMismatch, Stage: StageTransfer, Text: quoteName(name) + ": what is there is not what was sent"}
}

// readsAs compares what was read back. Servers that read and write at the same
// time, against the draft, may have read too early: then once more.
func (s *SFTP) readsAs(b *batch, reads []*ask, name string, data []byte) error {
	there, whole, err := b.joined(reads, len(data))
	if err == nil && !(whole && bytes.Equal(there, data)) {
		there, err = s.readAll(b.ctx, name, len(data))
	}
	if err != nil {
		return s.pathError(b.ctx, "read back", name, err)
	}
	if !bytes.Equal(there, data) {
		return s.notWhatWasSent(name)
	}
	return nil
}

// settled sets permissions and time again where a server that does things in
// an order of its own has lost them.
func (s *SFTP) settled(ctx context.Context, name string, info fs.FileInfo, f NewFile) error {
	if modeBits(info.Mode()) != modeBits(f.Mode) {
		if err := s.Chmod(ctx, name, f.Mode); err != nil {
			return err
		}
	}
	if !f.ModTime.IsZero() && info.ModTime().Unix() != f.ModTime.Unix() {
		return s.Chtimes(ctx, name, f.ModTime, f.ModTime)
	}
	return nil
}

// ReadSmall reads a file that was size bytes long when it was looked at, in two
// round trips, and describes it as it is now. Where it has become longer or
// shorter, all of it comes, up to most bytes; a longer one is KindTooLarge.
func (s *SFTP) ReadSmall(ctx context.Context, name string, size, most int) ([]byte, fs.FileInfo, error) {
	a, err := s.link.ask(ctx, fxpOpen, func(m []byte) []byte {
		return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(appendString(m, name), 1), 0)
	})
	handle, err := a.handle(err)
	if err != nil {
		return nil, nil, s.pathError(ctx, "open", name, err)
	}
	b := &batch{l: s.link, ctx: ctx}
	defer b.release()
	b.send(fxpFstat, nil, func(m []byte) []byte { return appendString(m, handle) })
	b.reads(handle, size)
	b.send(fxpClose, nil, func(m []byte) []byte { return appendString(m, handle) })
	if err := b.wait(); err != nil {
		return nil, nil, s.pathError(ctx, "read", name, err)
	}
	info, err := b.asks[0].attrs(name, b.asks[0].err)
	if err != nil {
		return nil, nil, s.pathError(ctx, "stat", name, err)
	}
	if info.Size() > int64(most) {
		return nil, info, &Error{Op: "read", Kind: KindTooLarge, Stage: StageTransfer, Text: quoteName(name) + ": has become longer than expected"}
	}
	data, whole, err := b.joined(b.asks[1:len(b.asks)-1], size)
	if err == nil && (!whole || info.Size() != int64(size)) {
		data, err = s.readAll(ctx, name, int(info.Size()))
	}
	if err != nil {
		return nil, nil, s.pathError(ctx, "read", name, err)
	}
	return data, info, nil
}

// readAll reads the first n bytes of a file, or as many as there are.
func (s *SFTP) readAll(ctx context.Context, name string, n int) ([]byte, error) {
	f, err := s.OpenFile(ctx, name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, n)
	got, err := f.ReadAt(data, 0)
	if err == io.EOF {
		err = nil
	}
	return data[:got], err
}

// batch is a number of requests that are sent before the first of their answers
// is waited for.
type batch struct {
	l    *sftpLink
	ctx  context.Context
	asks []*ask
	err  error // of sending: nothing is sent any more
}

// send sends a request; what is wrong shows in wait.
func (b *batch) send(kind byte, body []byte, put func([]byte) []byte) {
	if b.err != nil {
		return
	}
	a := &ask{done: make(chan *ask, 1), pooled: kind == fxpRead}
	m, err := b.l.begin(kind, a, 64)
	if err == nil {
		err = b.l.send(b.ctx, outgoing{head: put(m), body: body})
	}
	if err != nil {
		b.err = err
		return
	}
	b.asks = append(b.asks, a)
}

// reads asks for the first n bytes of an open file.
func (b *batch) reads(handle string, n int) {
	for at := 0; at < n; {
		size := min(n-at, int(b.l.maxRead.Load()))
		b.send(fxpRead, nil, func(m []byte) []byte {
			m = binary.BigEndian.AppendUint64(appendString(m, handle), uint64(at))
			return binary.BigEndian.AppendUint32(m, uint32(size))
		})
		b.asksSize(size)
		at += size
	}
}

// asksSize notes how much the last request asked for.
func (b *batch) asksSize(n int) {
	if b.err == nil {
		b.asks[len(b.asks)-1].size = n
	}
}

// wait waits for all answers. Where it fails some may still come: their buffers
// stay theirs, and there are no answers to look at.
func (b *batch) wait() error {
	if b.err != nil {
		b.asks = nil
		return b.err
	}
	for _, a := range b.asks {
		select {
		case <-a.done:
		case <-b.ctx.Done():
			b.asks = nil
			return b.ctx.Err()
		}
	}
	return nil
}

// joined puts the answers to reads together; whole says that all n bytes came.
func (b *batch) joined(asks []*ask, n int) (data []byte, whole bool, err error) {
	data = make([]byte, 0, n)
	for _, a := range asks {
		m, err := a.expect(fxpData, a.err)
		var st *statusError
		if errors.As(err, &st) && st.code == fxEOF {
			return data, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		p := m.bytes()
		if m.bad || len(p) > a.size {
			return nil, false, errMalformed
		}
		data = append(data, p...)
		if len(p) < a.size {
			return data, false, nil
		}
	}
	return data, true, nil
}

// release gives the buffers of all answers back.
func (b *batch) release() {
	for _, a := range b.asks {
		a.release()
	}
}
