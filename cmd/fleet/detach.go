package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"time"

	"fleet/internal/record"
)

// A detached run is held by a second process of the same binary. It is started
// with the same words, on the same terminal, and does all that comes before the
// first host: it reads the inventory, asks what there is to ask, opens keys. So no
// secret is handed on. When the store knows of the run it leaves the terminal for
// a session of its own, and tells its parent the run's id, by a pipe; the parent
// prints it and ends.

// detachVariable tells the second process what it is: the number of its pipe.
const detachVariable = "FLEET_DETACHED"

// detachment is the second process, before and after it has left the terminal.
type detachment struct {
	tell   *os.File // to the parent
	stderr *leaver
}

// leaver is standard error until the terminal is left, and nothing from then on.
type leaver struct {
	mu sync.Mutex
	to io.Writer
}

func (l *leaver) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

func (l *leaver) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = io.Discard
}

// detached carries out --detach: in the first process it starts the second, and
// waits until that is on its own; done says that nothing is left to do. In the
// second it has nothing more shown.
func (f *recordFlags) detached(e *env) (done bool, err error) {
	if !f.detach || e.rerun != nil && e.rerun.dry {
		return false, nil
	}
	if _, off, err := retention(e); err != nil {
		return true, err
	} else if f.off || off {
		return true, usage(errors.New("--detach: a run that is not recorded could not be looked at"), "leave out --no-record, and FLEET_RECORD=off")
	}
	if os.Getenv(detachVariable) == "" {
		return true, f.start(e)
	}
	os.Unsetenv(detachVariable) // it is not for what we start
	d := &detachment{tell: os.NewFile(3, "parent"), stderr: &leaver{to: e.stderr}}
	closeOnExec(d.tell)
	e.detach, e.stdout, e.stderr = d, io.Discard, d.stderr
	return false, nil
}

// start starts the second process.
func (f *recordFlags) start(e *env) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("--detach: find this program: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("--detach: %w", err)
	}
	defer r.Close()
	second := exec.Command(exe, os.Args[1:]...)
	second.Args[0] = os.Args[0]
	second.Env = append(os.Environ(), detachVariable+"=3")
	second.Stdin, second.Stdout, second.Stderr = os.Stdin, os.Stdout, os.Stderr
	second.ExtraFiles = []*os.File{w}
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt) // both get it; the second says how it ends
	defer signal.Stop(caught)
	err = second.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("--detach: start %s: %w", exe, err)
	}
	id, err := io.ReadAll(io.LimitReader(r, 100))
	if err != nil {
		return fmt.Errorf("--detach: hear of the run: %w", err)
	}
	if len(id) == 0 { // it said why
		second.Wait() //nolint:errcheck // the status says more
		code := second.ProcessState.ExitCode()
		if code == exitOK {
			return errors.New("--detach: the run ended before it was detached")
		}
		return &fault{code: max(code, exitInternal)}
	}
	text := strings.TrimSpace(string(id))
	if isTerminal(e.stderr) {
		name := record.ShortID(text)
		tell(e.stderr, "fleet: hint: ", fmt.Sprintf("'fleet history show --follow %s' follows it, 'fleet cancel %s' ends it, 'fleet ps' lists such runs", name, name))
	}
	_, err = fmt.Fprintln(e.stdout, text)
	return err
}

// leave puts the second process on its own, once its run is in the store.
func (d *detachment) leave(id string, rec *record.Recorder) error {
	const limit = 20 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := rec.Ready(ctx); err != nil {
		return fmt.Errorf("--detach: the run is not recorded, and not begun: %w", err)
	}
	if err := leaveTerminal(); err != nil {
		return fmt.Errorf("--detach: leave the terminal: %w", err)
	}
	d.stderr.leave()
	_, err := fmt.Fprintln(d.tell, id)
	return errors.Join(err, d.tell.Close())
}
