package lab

import (
	"encoding/binary"
	"io"
	"sync"

	"github.com/pkg/sftp"
)

// Messages of the SFTP protocol, version 3 (draft-ietf-secsh-filexfer-02), that
// faults are about.
const (
	sftpVersion  = 2
	sftpRead     = 5
	sftpWrite    = 6
	sftpStatus   = 101
	sftpData     = 103
	sftpExtended = 200
	sftpReply    = 201
	sftpLongest  = 256 << 10

	sftpOK      = 0 // SSH_FX_OK
	sftpFailure = 4 // SSH_FX_FAILURE
)

// Extensions of OpenSSH. The first is answered here, as the library's server
// does not know it.
const (
	extFsync   = "fsync@openssh.com"
	extStatVFS = "statvfs@openssh.com"
)

// sftpHooks are where an SFTP server departs from a healthy one. Each gets a
// message behind its length.
type sftpHooks struct {
	request []func(s *session, m []byte) (answer []byte) // instead of the server
	answer  []func(s *session, m []byte) []byte          // what the client gets
	before  func(s *session) bool                        // the server starts if it returns true
	cap     func(at uint64, size uint32) uint32          // what a read is made of
	plain   bool                                         // offers no extension
	noSync  bool
	noMove  bool
}

// serveSFTP is the sftp subsystem of a host. A simulated host has its files in
// memory, as long as the lab runs; with Config.RealShell they are those of this
// machine.
func (s *session) serveSFTP() {
	h := &s.host.behavior.sftp
	if h.before != nil && !h.before(s) {
		return
	}
	toServer, requests := io.Pipe()
	answers, fromServer := io.Pipe()
	server := pipeEnds{toServer, fromServer}
	done := make(chan struct{})
	client := &turns{w: s.ch}
	go func() {
		defer close(done)
		s.host.serveFiles(server)
		fromServer.Close()
		toServer.Close()
	}()
	go func() {
		for {
			m, err := readMessage(s.ch)
			if err != nil {
				break
			}
			if answer := s.onRequest(m); answer != nil {
				if writeMessage(client, answer) != nil {
					break
				}
			} else if writeMessage(requests, m) != nil {
				break
			}
		}
		requests.Close()
	}()
	for {
		m, err := readMessage(answers)
		if err != nil {
			break
		}
		if err := writeMessage(client, s.onAnswer(m)); err != nil {
			break
		}
	}
	answers.Close()
	s.ch.Close() // the reader of requests ends
	<-done
}

// turns has writers to w take turns: a channel of SSH takes one at a time.
type turns struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *turns) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.w.Write(p)
}

// pipeEnds is what the server reads and writes.
type pipeEnds struct {
	*io.PipeReader
	w *io.PipeWriter
}

func (p pipeEnds) Write(b []byte) (int, error) { return p.w.Write(b) }

func (p pipeEnds) Close() error {
	p.PipeReader.Close()
	return p.w.Close()
}

// serveFiles serves the host's files until the client ends.
func (h *Host) serveFiles(rw io.ReadWriteCloser) {
	if h.lab.cfg.RealShell {
		if server, err := sftp.NewServer(rw); err == nil {
			server.Serve()
			server.Close()
		}
		return
	}
	h.filesOnce.Do(func() { h.files = newMemFS().handlers() })
	server := sftp.NewRequestServer(rw, h.files)
	server.Serve()
	server.Close()
}

func readMessage(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 5 || n > sftpLongest {
		return nil, io.ErrUnexpectedEOF
	}
	m := make([]byte, n)
	_, err := io.ReadFull(r, m)
	return m, err
}

func writeMessage(w io.Writer, m []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(m)), uint32(len(m))), m...))
	return err
}

// onRequest gives what the host answers instead of its server, or nil.
func (s *session) onRequest(m []byte) []byte {
	h := &s.host.behavior.sftp
	for _, f := range h.request {
		if answer := f(s, m); answer != nil {
			return answer
		}
	}
	switch m[0] {
	case sftpRead:
		if _, place := messageAt(m); h.cap != nil && place != nil {
			size := place[8:]
			binary.BigEndian.PutUint32(size, h.cap(binary.BigEndian.Uint64(place), binary.BigEndian.Uint32(size)))
		}
	case sftpExtended:
		if name, _ := messageAt(m); string(name) == extFsync && !h.noSync && !h.plain {
			return statusMessage(m, sftpOK, "")
		}
	}
	return nil
}

// onAnswer gives what the client gets of an answer.
func (s *session) onAnswer(m []byte) []byte {
	h := &s.host.behavior.sftp
	if m[0] == sftpVersion {
		m = m[:5:5]
		if !h.plain {
			for _, e := range []struct {
				name, data string
				gone       bool
			}{
				{"posix-rename@openssh.com", "1", h.noMove}, {extStatVFS, "2", !s.host.lab.cfg.RealShell},
				{"hardlink@openssh.com", "1", false}, {extFsync, "1", h.noSync},
			} {
				if !e.gone {
					m = appendText(appendText(m, e.name), e.data)
				}
			}
		}
	}
	for _, f := range h.answer {
		m = f(s, m)
	}
	return m
}

// messageAt gives the first text of a request, its handle or the name of an
// extension, and what follows; nil where that is too short for a place and a size.
func messageAt(m []byte) (text, rest []byte) {
	if len(m) < 9 {
		return nil, nil
	}
	n := uint64(binary.BigEndian.Uint32(m[5:]))
	if uint64(len(m)) < 9+n {
		return nil, nil
	}
	text, rest = m[9:9+n], m[9+n:]
	if len(rest) < 12 {
		rest = nil
	}
	return text, rest
}

// statusMessage answers a request by a status.
func statusMessage(request []byte, code uint32, text string) []byte {
	m := append([]byte{sftpStatus}, request[1:5]...) // the request's id
	m = binary.BigEndian.AppendUint32(m, code)
	return appendText(appendText(m, text), "") // no language
}

func appendText(m []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(m, uint32(len(text))), text...)
}
