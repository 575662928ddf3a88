package lab

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"strings"
)

// fileFaults go wrong where files are moved.
func fileFaults() []fault {
	return []fault{
		{"no-sftp", "", "there is no sftp subsystem",
			func(b *behavior, _ value) { b.noSFTP = true }},
		{"mute-sftp", "", "the sftp subsystem starts and never says a word",
			func(b *behavior, _ value) {
				b.sftp.before = func(s *session) bool {
					io.Copy(io.Discard, s.ch)
					return false
				}
			}},
		{"noisy-sftp", "", "a login script greets before the sftp server does",
			func(b *behavior, _ value) {
				b.sftp.before = func(s *session) bool {
					io.WriteString(s.ch, "Welcome to \x1b[31m"+s.host.Name+"\x1b[0m!\n")
					return true
				}
			}},
		{"short-reads", "BYTES", "the sftp server gives at most that many bytes of a file at once; 0: now so many, now so",
			func(b *behavior, v value) {
				n := uint32(v.bytes())
				b.sftp.cap = func(at uint64, size uint32) uint32 {
					if n > 0 {
						return min(size, n)
					}
					return 1 + uint32((at*2654435761)>>7)%max(size, 1)
				}
			}},
		{"plain-sftp", "", "the sftp server has no extensions",
			func(b *behavior, _ value) { b.sftp.plain = true }},
		{"no-fsync", "", "the sftp server has no fsync@openssh.com",
			func(b *behavior, _ value) { b.sftp.noSync = true }},
		{"no-posix-rename", "", "the sftp server has no posix-rename@openssh.com",
			func(b *behavior, _ value) { b.sftp.noMove = true }},
		{"disk-full", "BYTES", "there is room for that many bytes in one session, then writes fail",
			func(b *behavior, v value) { diskFull(b, v.bytes()) }},
		{"corrupt-write", "", "one bit of what is written to a file is another",
			func(b *behavior, _ value) {
				b.onWrite(func(_ *session, _ []byte, data []byte) []byte {
					if len(data) > 0 {
						data[len(data)/2] ^= 4
					}
					return nil
				})
			}},
		{"cut-files", "BYTES", "the connection is cut when that many bytes of files have gone over it, either way",
			func(b *behavior, v value) { cutFiles(b, v.bytes()) }},
		{"garbage-files", "", "the sftp server answers each request by an answer of any kind with anything in it",
			func(b *behavior, _ value) { b.sftp.answer = append(b.sftp.answer, garble) }},
		{"slow-files", "DURATION", "each write to a file takes that long",
			func(b *behavior, v value) {
				d := v.duration()
				b.onWrite(func(s *session, _, _ []byte) []byte {
					s.wire.pause(d)
					return nil
				})
			}},
		{"hang-files", "BYTES", "when that many bytes of files have come nothing is answered any more",
			func(b *behavior, v value) {
				n := v.bytes()
				b.onWrite(func(s *session, _ []byte, data []byte) []byte {
					if s.filed.Add(int64(len(data))) > n {
						<-s.wire.gone
					}
					return nil
				})
			}},
	}
}

// onWrite has f see each write to a file, and its data; what f gives is the
// answer, or nil.
func (b *behavior) onWrite(f func(s *session, m, data []byte) []byte) {
	b.sftp.request = append(b.sftp.request, func(s *session, m []byte) []byte {
		if m[0] != sftpWrite {
			return nil
		}
		_, rest := messageAt(m)
		if rest == nil {
			return nil
		}
		return f(s, m, rest[12:])
	})
}

// diskFull refuses writes as OpenSSH does where the disk is full, and says by
// statvfs@openssh.com that it is.
func diskFull(b *behavior, room int64) {
	b.onWrite(func(s *session, m, data []byte) []byte {
		if s.filed.Add(int64(len(data))) > room {
			return statusMessage(m, sftpFailure, "Failure")
		}
		return nil
	})
	b.sftp.request = append(b.sftp.request, func(s *session, m []byte) []byte {
		if name, _ := messageAt(m); m[0] != sftpExtended || string(name) != extStatVFS {
			return nil
		}
		const block = 4096
		free := uint64(max(room-s.filed.Load(), 0)) / block
		answer := append([]byte{sftpReply}, m[1:5]...)
		for _, v := range []uint64{block, block, 1 << 20, free, free, 1 << 20, 1 << 19, 1 << 19, 0, 0, 255} {
			answer = binary.BigEndian.AppendUint64(answer, v)
		}
		return answer
	})
}

// cutFiles cuts the connection once n bytes of files went over it.
func cutFiles(b *behavior, n int64) {
	b.onWrite(func(s *session, m, data []byte) []byte {
		if s.filed.Add(int64(len(data))) > n {
			s.wire.cut()
			return statusMessage(m, sftpFailure, "") // what is still on its way is lost
		}
		return nil
	})
	b.sftp.answer = append(b.sftp.answer, func(s *session, m []byte) []byte {
		if m[0] == sftpData && s.filed.Add(int64(len(m)-9)) > n {
			s.wire.cut()
		}
		return m
	})
}

// garble gives an answer to the same request, of another kind perhaps, and with
// random bytes in it.
func garble(_ *session, m []byte) []byte {
	if m[0] == sftpVersion {
		return m
	}
	kinds := []byte{sftpStatus, sftpStatus + 1, sftpData, sftpData + 1, sftpData + 2, sftpReply}
	junk := make([]byte, rand.IntN(80))
	for i := range junk {
		junk[i] = byte(rand.IntN(256))
		if rand.IntN(3) > 0 { // small numbers are lengths that fit
			junk[i] = 0
		}
	}
	return append(append([]byte{kinds[rand.IntN(len(kinds))]}, m[1:5]...), junk...)
}

// nameFaults are wrong names of files.
func nameFaults() []fault {
	return []fault{
		{"evil-names", "", "folders of two files and more also hold names that lead out of them",
			func(b *behavior, _ value) { b.sftp.answer = append(b.sftp.answer, evilNames) }},
	}
}

// evilNames adds entries to the list of a folder, files and a folder, that no
// folder can hold.
func evilNames(_ *session, m []byte) []byte {
	const name, count = 104, 5 // SSH_FXP_NAME; behind the id
	if m[0] != name || len(m) < count+4 || binary.BigEndian.Uint32(m[count:]) < 2 {
		return m
	}
	evil := []string{"../evil", "/tmp/evil", "a/../../evil", "..", "", "nul\x00", "sub/x", strings.Repeat("n", 300)}
	binary.BigEndian.PutUint32(m[count:], binary.BigEndian.Uint32(m[count:])+uint32(len(evil)))
	for i, e := range evil {
		m = appendText(appendText(m, e), e)
		mode := uint32(0o100644)
		if i == 3 {
			mode = 0o040755
		}
		m = binary.BigEndian.AppendUint32(m, 1|4|8) // size, permissions, times
		m = binary.BigEndian.AppendUint64(m, 1)
		m = binary.BigEndian.AppendUint32(m, mode)
		m = binary.BigEndian.AppendUint64(m, 0)
	}
	return m
}
