package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// openTerminal opens a pseudo-terminal of the given width: the side that a
// person sits at, and the side for the program.
func openTerminal(columns int) (person, program *os.File, err error) {
	person, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, fmt.Errorf("unlock pty: %w", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, nil, fmt.Errorf("number of pty: %w", err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: uint16(columns)}); err != nil {
		return nil, nil, fmt.Errorf("size of pty: %w", err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	return person, program, err
}

// attended is a shell that keeps the terminal open after the program has ended,
// until its person has read everything: what a program wrote just before the
// last process on its terminal ends may be dropped by the kernel.
const attended = `trap : INT; "$@"; printf '\001%d\002' $?; read -r _`

// onTerminal runs cmd with a terminal for all its streams and gives what stands
// on the screen (and above it) at the end, and the exit status. typed, where
// not nil, is called with the person's side and all bytes so far after each read.
func onTerminal(cmd *exec.Cmd, columns int, typed func(person *os.File, seen []byte)) (screen []string, status int, err error) {
	person, program, err := openTerminal(columns)
	if err != nil {
		return nil, 0, err
	}
	defer person.Close()
	shell := exec.Command("sh", append([]string{"-c", attended, "sh", cmd.Path}, cmd.Args[1:]...)...)
	shell.Dir, shell.Env = cmd.Dir, cmd.Env
	shell.Stdin, shell.Stdout, shell.Stderr = program, program, program
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		return nil, 0, err
	}
	program.Close()
	var seen []byte
	for buf := make([]byte, 4096); ; {
		n, err := person.Read(buf)
		seen = append(seen, buf[:n]...)
		if typed != nil {
			typed(person, seen)
		}
		if begin := bytes.IndexByte(seen, 1); begin >= 0 && bytes.IndexByte(seen[begin:], 2) > 0 {
			status, err = strconv.Atoi(string(seen[begin+1 : begin+bytes.IndexByte(seen[begin:], 2)]))
			person.Write([]byte("\n")) //nolint:errcheck // the shell ends, or Wait tells
			return screenText(seen[:begin], columns), status, errors.Join(err, shell.Wait())
		}
		if err != nil {
			return screenText(seen, columns), 0, errors.Join(err, shell.Wait())
		}
	}
}

// screenText plays bytes to a terminal that knows what fleet uses: line feed,
// carriage return, erase in line (CSI K), erase below (CSI J), cursor up, down,
// right and left (CSI A to D), colours (CSI m) and switches (CSI ? ... h/l).
func screenText(b []byte, columns int) []string {
	lines := [][]rune{nil}
	row, col := 0, 0
	put := func(r rune) {
		if col >= columns {
			row, col = row+1, 0
		}
		for row >= len(lines) {
			lines = append(lines, nil)
		}
		for col >= len(lines[row]) {
			lines[row] = append(lines[row], ' ')
		}
		lines[row][col] = r
		col++
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\n':
			row++
			for row >= len(lines) {
				lines = append(lines, nil)
			}
		case r == '\r':
			col = 0
		case r == '\x1b' && len(b) > 1 && b[1] == '[':
			end := 2
			for end < len(b) && (b[end] < '@' || b[end] > '~') {
				end++
			}
			if end == len(b) {
				return append(text(lines), fmt.Sprintf("unfinished escape %q", b))
			}
			arg, _ := strconv.Atoi(strings.Trim(string(b[2:end]), "?;"))
			switch b[end] {
			case 'K':
				if arg == 2 {
					lines[row] = nil
				} else if col < len(lines[row]) {
					lines[row] = lines[row][:col]
				}
			case 'J':
				lines = lines[:row+1]
				lines[row] = lines[row][:min(col, len(lines[row]))]
			case 'A':
				row = max(0, row-max(1, arg))
			case 'B':
				row = min(len(lines)-1, row+max(1, arg))
			case 'C':
				col = min(columns-1, col+max(1, arg))
			case 'D':
				col = max(0, col-max(1, arg))
			case 'm', 'h', 'l':
			default:
				return append(text(lines), fmt.Sprintf("unknown escape %q", b[:end+1]))
			}
			n = end + 1
		case r < ' ' && r != '\t':
			put('?')
		default:
			put(r)
		}
		b = b[n:]
	}
	return text(lines)
}

func text(lines [][]rune) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimRight(string(l), " ")
	}
	for len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1]
	}
	return out
}

// echoes says whether the terminal shows what is typed (termios(3), ECHO).
func echoes(t *testing.T, person *os.File) bool {
	t.Helper()
	termios, err := unix.IoctlGetTermios(int(person.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return termios.Lflag&unix.ECHO != 0
}
