package sshpool

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const canQuickAck = true

// quickAck asks the kernel to acknowledge at once what comes next (tcp(7),
// TCP_QUICKACK; not permanent). sshd keeps Nagle's algorithm on until a session
// runs, so a delayed acknowledgement would cost 40 ms a login.
func quickAck(raw syscall.RawConn) {
	raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}
