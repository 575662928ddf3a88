package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"fleet/sshpool"
)

// landing is landingScript at work on the host that is served.
type landing struct {
	in    *io.PipeWriter
	lines chan string
	done  chan error
	stop  context.CancelFunc
}

// Limits of what the host that is served is to do.
const (
	landingLimit = 20 * time.Second // until it is ready
	leavingLimit = 10 * time.Second // until all is as it was before
)

// land starts landingScript and waits until it is ready. An error that is no
// *copyFault is of the host's connection.
func (d *pushing) land(ctx context.Context, stage, temp, front, rest string) (*landing, error) {
	r, w := io.Pipe()
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	l := &landing{in: w, lines: make(chan string, 8), done: make(chan error, 1), stop: stop}
	life := fmt.Sprint(int(keyLife.Seconds()))
	plain := far{conn: d.far.conn}
	go func() {
		res, err := plain.script(own, nonce(), landingScript, []string{stage, temp, front, rest, life}, r, &lineWriter{to: l.lines})
		if err == nil && (res.code != 0 || res.signal != "") {
			err = faulty(faultTarget, "a place for what arrives: %s", ended(res))
		}
		close(l.lines)
		l.done <- err
		r.CloseWithError(io.ErrClosedPipe)
	}()
	limit := time.NewTimer(landingLimit)
	defer limit.Stop()
	select {
	case line, more := <-l.lines:
		switch {
		case line == "ready":
			return l, nil
		case more:
			l.leave(ctx, false)
			what := refusals[strings.TrimPrefix(line, "no ")]
			return nil, faulty(faultTarget, "%s", firstOf(what, "a place for what arrives could not be made"))
		}
		stop()
		if err := <-l.done; err != nil {
			return nil, targetFault(err)
		}
		return nil, faulty(faultTarget, "a place for what arrives could not be made")
	case <-limit.C:
		l.leave(ctx, false)
		return nil, faulty(faultTarget, "no place for what arrives was made within %v", landingLimit)
	case <-ctx.Done():
		l.leave(ctx, false)
		return nil, over(ctx)
	}
}

// targetFault is what an error on the host that is served means: it has none of
// what is needed, or its connection is gone.
func targetFault(err error) error {
	var e *sshpool.Error
	if errors.As(err, &e) && (e.Kind == sshpool.KindConnLost || e.Kind == sshpool.KindCanceled) {
		return err
	}
	var known *copyFault
	if errors.As(err, &known) {
		return known
	}
	return faulty(faultTarget, "%v", err)
}

// leave ends a landing. Kept says that the file got its name; clean, that
// everything else is as it was before.
func (l *landing) leave(ctx context.Context, keep bool) (kept, clean bool, err error) {
	defer l.stop()
	word := "drop\n"
	if keep {
		word = "keep\n"
	}
	limit := time.NewTimer(leavingLimit)
	defer limit.Stop()
	go func() {
		io.WriteString(l.in, word)
		l.in.Close()
	}()
	clean = true
	for {
		select {
		case line, more := <-l.lines:
			switch {
			case line == "kept":
				kept = true
			case line == "left":
				clean = false
			case !more:
				return kept, clean, <-l.done
			}
		case <-limit.C:
			return false, false, nil
		}
	}
}

// lineWriter passes lines on. What nobody takes is dropped.
type lineWriter struct {
	to   chan<- string
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ok := bytes.Cut(w.rest, []byte("\n"))
		if !ok {
			if len(w.rest) > maxRecord {
				w.rest = nil
			}
			return len(p), nil
		}
		select {
		case w.to <- string(line):
		default:
		}
		w.rest = append([]byte(nil), rest...)
	}
}
