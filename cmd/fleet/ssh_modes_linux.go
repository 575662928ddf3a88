package main

import (
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
)

// terminalModes are the settings of a terminal in the form of RFC 4254 section 8.
func terminalModes(fd int) ssh.TerminalModes {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil
	}
	m := ssh.TerminalModes{ssh.TTY_OP_ISPEED: speed(t.Cflag), ssh.TTY_OP_OSPEED: speed(t.Cflag)}
	for op, i := range map[uint8]int{
		ssh.VINTR: unix.VINTR, ssh.VQUIT: unix.VQUIT, ssh.VERASE: unix.VERASE, ssh.VKILL: unix.VKILL,
		ssh.VEOF: unix.VEOF, ssh.VEOL: unix.VEOL, ssh.VEOL2: unix.VEOL2, ssh.VSTART: unix.VSTART,
		ssh.VSTOP: unix.VSTOP, ssh.VSUSP: unix.VSUSP, ssh.VREPRINT: unix.VREPRINT,
		ssh.VWERASE: unix.VWERASE, ssh.VLNEXT: unix.VLNEXT, ssh.VDISCARD: unix.VDISCARD, ssh.VSWTCH: unix.VSWTC,
	} {
		m[op] = uint32(t.Cc[i])
		if t.Cc[i] == 0 { // none is 255 there
			m[op] = 255
		}
	}
	flags := func(set uint32, bits map[uint8]uint32) {
		for op, bit := range bits {
			m[op] = 0
			if set&bit == bit {
				m[op] = 1
			}
		}
	}
	flags(t.Iflag, map[uint8]uint32{
		ssh.IGNPAR: unix.IGNPAR, ssh.PARMRK: unix.PARMRK, ssh.INPCK: unix.INPCK, ssh.ISTRIP: unix.ISTRIP,
		ssh.INLCR: unix.INLCR, ssh.IGNCR: unix.IGNCR, ssh.ICRNL: unix.ICRNL, ssh.IUCLC: unix.IUCLC,
		ssh.IXON: unix.IXON, ssh.IXANY: unix.IXANY, ssh.IXOFF: unix.IXOFF, ssh.IMAXBEL: unix.IMAXBEL,
		ssh.IUTF8: unix.IUTF8,
	})
	flags(t.Lflag, map[uint8]uint32{
		ssh.ISIG: unix.ISIG, ssh.ICANON: unix.ICANON, ssh.XCASE: unix.XCASE, ssh.ECHO: unix.ECHO,
		ssh.ECHOE: unix.ECHOE, ssh.ECHOK: unix.ECHOK, ssh.ECHONL: unix.ECHONL, ssh.NOFLSH: unix.NOFLSH,
		ssh.TOSTOP: unix.TOSTOP, ssh.IEXTEN: unix.IEXTEN, ssh.ECHOCTL: unix.ECHOCTL, ssh.ECHOKE: unix.ECHOKE,
		ssh.PENDIN: unix.PENDIN,
	})
	flags(t.Oflag, map[uint8]uint32{
		ssh.OPOST: unix.OPOST, ssh.OLCUC: unix.OLCUC, ssh.ONLCR: unix.ONLCR, ssh.OCRNL: unix.OCRNL,
		ssh.ONOCR: unix.ONOCR, ssh.ONLRET: unix.ONLRET,
	})
	flags(t.Cflag, map[uint8]uint32{
		ssh.CS7: unix.CS7, ssh.CS8: unix.CS8, ssh.PARENB: unix.PARENB, ssh.PARODD: unix.PARODD,
	})
	return m
}

// speed is the baud rate that a terminal says it has (termios(3)).
func speed(cflag uint32) uint32 {
	rates := map[uint32]uint32{
		unix.B1200: 1200, unix.B2400: 2400, unix.B4800: 4800, unix.B9600: 9600, unix.B19200: 19200,
		unix.B57600: 57600, unix.B115200: 115200, unix.B230400: 230400,
	}
	if rate, ok := rates[cflag&unix.CBAUD]; ok {
		return rate
	}
	return 38400
}
