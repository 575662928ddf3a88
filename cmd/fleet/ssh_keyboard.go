package main

import (
	"fmt"
	"io"
	"sync"
)

// escapes finds what is typed at fleet and not at the host: "~" at the
// beginning of a line and a character behind it, as in ssh(1).
type escapes struct {
	inLine bool // something has been typed since the last Enter
	tilde  bool // a "~" is held back
}

// filter takes what was typed, and gives what is to be sent and the first
// command in it, 0 if there is none; rest is what was typed behind that.
func (e *escapes) filter(typed []byte) (send []byte, command byte, rest []byte) {
	send = make([]byte, 0, len(typed)+1)
	for i, c := range typed {
		switch {
		case e.tilde:
			e.tilde = false
			if c == '.' || c == '?' {
				return send, c, typed[i+1:]
			}
			if c != '~' { // "~~" sends one
				send = append(send, '~')
			}
		case c == '~' && !e.inLine:
			e.tilde = true
			continue
		}
		send = append(send, c)
		e.inLine = c != '\r' && c != '\n'
	}
	return send, 0, nil
}

const escapeHelp = `fleet: ~. leaves, ~? shows this, ~~ sends ~; each at the beginning of a line`

// keyboard reads what is typed without the escapes. It reads on while what was
// read before waits to be sent, so that ~. works also where nothing goes out.
type keyboard struct {
	keys    chan []byte
	rest    []byte
	err     error // set before keys is closed
	command func(byte)
	once    sync.Once
	from    io.Reader
}

// newKeyboard reads from until its end; command is called for each escape.
func newKeyboard(from io.Reader, command func(byte)) *keyboard {
	return &keyboard{keys: make(chan []byte, 256), command: command, from: from}
}

// listen reads on its own; it is left behind, until the process ends, by a user
// who types nothing more.
func (k *keyboard) listen() {
	var e escapes
	defer close(k.keys)
	defer func() { // the terminal is to be restored also where this has a fault
		if v := recover(); v != nil {
			k.err = fmt.Errorf("read keyboard: panic: %v", v)
		}
	}()
	buf := make([]byte, 4096)
	for {
		n, err := k.from.Read(buf)
		for typed := buf[:n]; len(typed) > 0; {
			send, command, rest := e.filter(typed)
			if len(send) > 0 {
				k.keys <- send
			}
			if command != 0 {
				k.command(command)
			}
			typed = rest
		}
		if err != nil {
			k.err = err
			return
		}
	}
}

// Read gives what is to be sent.
func (k *keyboard) Read(p []byte) (int, error) {
	k.once.Do(func() { go k.listen() })
	for len(k.rest) == 0 {
		var ok bool
		if k.rest, ok = <-k.keys; !ok {
			return 0, k.err
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// command does what an escape asks for.
func (v *visit) command(c byte) {
	switch c {
	case '.':
		v.end(errLeft)
	case '?':
		v.notes.Note("\n" + escapeHelp)
	}
}
