package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// question is one that stands on the terminal. It belongs to one goroutine, and ends
// by close or giveUp.
type question struct {
	tty    *os.File
	before *term.State
	echo   bool
	reply  chan reply
}

type reply struct {
	text []byte
	err  error
}

// openQuestion makes the terminal ready for a question; nothing is shown yet.
func openQuestion(echo bool) (*question, error) {
	tty, err := userTerminal()
	if err != nil {
		return nil, errNoPrompt
	}
	q := &question{tty: tty, echo: echo, reply: make(chan reply, 1)}
	err = q.control(func(fd int) (err error) {
		q.before, err = term.GetState(fd)
		return err
	})
	if err != nil {
		tty.Close()
		return nil, errNoPrompt
	}
	prepare := hush
	if echo {
		prepare = forget
	}
	if err := q.control(prepare); err != nil {
		tty.Close()
		return nil, fmt.Errorf("prepare the terminal: %w", err)
	}
	return q, nil
}

// control calls f with the terminal's descriptor. Fd would do so too, and have reads
// wait in the system, where none can be given up.
func (q *question) control(f func(fd int) error) error {
	raw, err := q.tty.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// put asks, and gives where the answer comes.
func (q *question) put(text string) <-chan reply {
	fmt.Fprint(q.tty, text)
	read := readLine
	if !q.echo {
		read = readHidden
	}
	go func() {
		text, err := read(q.tty)
		q.reply <- reply{text, err}
	}()
	return q.reply
}

// close ends a question that was answered.
func (q *question) close() error {
	if !q.echo {
		fmt.Fprintln(q.tty) // nobody saw the one that was typed
	}
	return errors.Join(q.restore(), q.tty.Close())
}

// giveUp ends one that was not. What is typed from now on is for others: where the
// reader can be called off, as on Linux, it is gone before giveUp returns; else it
// is left behind.
func (q *question) giveUp() error {
	err := q.restore()
	fmt.Fprintln(q.tty)
	if q.tty.SetReadDeadline(time.Now()) != nil {
		go func() { <-q.reply; q.tty.Close() }()
		return err
	}
	<-q.reply
	return errors.Join(err, q.tty.Close())
}

func (q *question) restore() error {
	return q.control(func(fd int) error { return term.Restore(fd, q.before) })
}

// readLine reads what the terminal gives at once, a line.
func readLine(tty *os.File) ([]byte, error) {
	line, err := bufio.NewReaderSize(tty, maxSecret).ReadSlice('\n')
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return bytes.TrimRight(line, "\r\n"), err
}
