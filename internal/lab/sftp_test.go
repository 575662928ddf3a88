package lab

import (
	"encoding/binary"
	"io"
	"testing"
)

// TestSFTP opens the sftp subsystem and asks for a file's attributes.
func TestSFTP(t *testing.T) {
	l := start(t, Config{N: 1})
	p := probe{t, l, l.Hosts()[0]}
	s := p.session(p.login())
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RequestSubsystem("sftp"); err != nil {
		t.Fatal(err)
	}
	ask := func(packet string) string {
		if _, err := in.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(packet))), packet...)); err != nil {
			t.Fatal(err)
		}
		var size [4]byte
		if _, err := io.ReadFull(out, size[:]); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(out, answer); err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	if got, want := ask("\x01\x00\x00\x00\x03"), "\x02\x00\x00\x00\x03"; got != want {
		t.Errorf("answer to init: %q, want %q", got, want)
	}
	const stat = "\x11\x00\x00\x00\x07\x00\x00\x00\x01/"
	if got, want := ask(stat), "\x65\x00\x00\x00\x07\x00\x00\x00\x08\x00\x00\x00\x15Operation unsupported\x00\x00\x00\x00"; got != want {
		t.Errorf("answer to stat: %q, want %q", got, want)
	}
}
