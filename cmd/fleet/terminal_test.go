package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
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

// onTerminal runs cmd with a terminal for all its streams and gives what stands
// on the screen (and above it) at the end. typed, where not nil, is called with
// the person's side and all bytes so far after each read.
func onTerminal(cmd *exec.Cmd, columns int, typed func(person *os.File, seen []byte)) ([]string, error) {
	person, program, err := openTerminal(columns)
	if err != nil {
		return nil, err
	}
	defer person.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	program.Close()
	var seen bytes.Buffer
	for buf := make([]byte, 4096); ; {
		n, err := person.Read(buf)
		seen.Write(buf[:n])
		if typed != nil {
			typed(person, seen.Bytes())
		}
		if err != nil { // EIO once the program's side is closed, as io.EOF elsewhere
			break
		}
	}
	return screenText(seen.Bytes(), columns), cmd.Wait()
}

// screenText plays bytes to a terminal that knows what fleet uses: line feed,
// carriage return, erase in line (CSI K), erase below (CSI J), cursor up (CSI
// A), colours (CSI m) and switches (CSI ? ... h/l).
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
