package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"fleet/internal/engine"
)

// errNoPrompt is what a question gets where nobody can answer.
var errNoPrompt = errors.New("nobody to ask: there is no terminal, or --no-input was given")

// prompter asks the user for secrets, one question at a time, on the terminal
// itself, so that it works while stdin and stdout are pipes.
type prompter struct {
	allowed bool
	stopped <-chan struct{}        // closed when the user asks to stop; may be nil
	pause   func() (resume func()) // clears the screen for a question; may be nil
	open    sync.Mutex             // held by the question on the screen
}

// errInterrupted is what a question gets that the user answers with Ctrl-C.
var errInterrupted = engine.ErrInterrupted

// secret asks without echo. The question must be safe to print.
func (p *prompter) secret(ctx context.Context, question string) ([]byte, error) {
	return p.ask(ctx, question+": ", false)
}

// ask asks, showing what is typed if echo is set.
func (p *prompter) ask(ctx context.Context, question string, echo bool) ([]byte, error) {
	if !p.allowed {
		return nil, errNoPrompt
	}
	p.open.Lock() // hosts with different logins may ask at the same time
	defer p.open.Unlock()
	select {
	case <-p.stopped: // after an answer that came with the Ctrl-C
		return nil, errInterrupted
	case <-ctx.Done(): // while others were asked
		return nil, ctx.Err()
	default:
	}
	if p.pause != nil {
		defer p.pause()()
	}
	q, err := openQuestion(echo)
	if err != nil {
		return nil, err
	}
	select {
	case r := <-q.put(question):
		err = errors.Join(r.err, q.close())
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if !echo {
			secrets.Add(r.text)
		}
		return r.text, nil
	case <-p.stopped:
		err = errInterrupted
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, q.giveUp())
}

// userTerminal opens the terminal that the process belongs to.
func userTerminal() (*os.File, error) { return os.OpenFile("/dev/tty", os.O_RDWR, 0) }

// tell shows a line on the terminal, if there is one.
func (p *prompter) tell(text string) {
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer tty.Close()
	if p.pause != nil {
		defer p.pause()()
	}
	fmt.Fprintln(tty, text)
}

// maxSecret bounds a file that should hold one secret.
const maxSecret = 64 << 10

// secretFile reads a secret from a file ("-" is standard input): its first line.
func secretFile(path string, stdin io.Reader) (string, error) {
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer f.Close()
		stdin = f
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxSecret))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	secret := strings.TrimSuffix(string(line), "\r")
	if secret == "" {
		return "", fmt.Errorf("read %s: its first line is empty", path)
	}
	secrets.Add([]byte(secret))
	return secret, nil
}
