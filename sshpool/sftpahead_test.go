package sshpool

import (
	"encoding/binary"
	"testing"
)

// TestReadAhead plays a server that answers each request but the first, and
// wants a read to stop asking rather than keep all else.
func TestReadAhead(t *testing.T) {
	l := &sftpLink{}
	l.maxRead.Store(smallChunk)
	r := &reading{f: &openFile{s: &SFTP{link: l}}, end: 1 << 40, chunk: smallChunk, allowed: firstUnderWay}
	var kept int64
	answer := func(s span) {
		data := append(binary.BigEndian.AppendUint32(nil, uint32(s.size)), make([]byte, s.size)...)
		if err := r.answer(&ask{kind: fxpData, data: data, tag: s.at, size: s.size}, func(_ int64, p []byte) error {
			kept += int64(len(p))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := r.pick()
	for {
		s, ok := r.pick()
		if !ok {
			break
		}
		if answer(s); kept > 2*maxAhead {
			t.Fatalf("%d bytes were taken beyond the first that did not come", kept)
		}
	}
	if kept < maxAhead/2 {
		t.Errorf("only %d bytes were asked for beyond the first", kept)
	}
	answer(first)
	if s, ok := r.pick(); !ok || s.at != r.next-smallChunk || r.full != kept {
		t.Errorf("after the first came: %v, %v, full to %d of %d", s, ok, r.full, kept)
	}
}
