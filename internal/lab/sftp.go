package lab

import (
	"encoding/binary"
	"io"
)

// Messages of the SFTP protocol, version 3 (draft-ietf-secsh-filexfer-02).
const (
	sftpInit        = 1
	sftpVersion     = 2
	sftpStatus      = 101
	sftpUnsupported = 8 // SSH_FX_OP_UNSUPPORTED
	sftpLongest     = 256 << 10
)

// serveSFTP is the sftp subsystem of a simulated host: it speaks the protocol
// and refuses every operation, as there are no files behind it.
func serveSFTP(ch io.ReadWriter) {
	for {
		var head [5]byte // length and type
		if _, err := io.ReadFull(ch, head[:]); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(head[:])
		if size < 5 || size > sftpLongest {
			return
		}
		body := make([]byte, size-1)
		if _, err := io.ReadFull(ch, body); err != nil {
			return
		}
		var answer []byte
		if head[4] == sftpInit {
			answer = append(answer, sftpVersion, 0, 0, 0, 3)
		} else {
			const text = "Operation unsupported"
			answer = append(answer, sftpStatus)
			answer = append(answer, body[:4]...) // the request's id
			answer = binary.BigEndian.AppendUint32(answer, sftpUnsupported)
			answer = append(binary.BigEndian.AppendUint32(answer, uint32(len(text))), text...)
			answer = append(answer, 0, 0, 0, 0) // no language
		}
		if _, err := ch.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...)); err != nil {
			return
		}
	}
}
