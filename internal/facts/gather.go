package facts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"fleet/internal/engine"
	"fleet/internal/event"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// maxOutput bounds what is read of one host, in bytes; more ends the question.
const maxOutput = 1 << 20

// Gathered is what became of a gathering.
type Gathered struct {
	Facts   map[string]*Facts // by host; without those of which nothing was found out
	Summary event.Summary
}

// Gather asks the hosts of req, within req.Timeout each once it is connected.
// Progress and results go to sink, as those of a run. The error is nil however
// the hosts end, as that of engine.Run.Run; the caller finishes the sink.
func Gather(ctx context.Context, req engine.Request, sink event.Sink) (*Gathered, error) {
	g := &gathering{limit: req.Timeout, found: make(map[string]*Facts)}
	req.Timeout = 0 // that of the question is ours, so that what came by then counts
	req.Hosts = asThemselves(req.Hosts)
	req.Command = "facts"
	req.Work = &engine.Work{What: "question", Do: g.ask}
	run, err := engine.New(ctx, req)
	if err != nil {
		return nil, err
	}
	defer run.Close() //nolint:errcheck // no output is kept
	summary, err := run.Run(plain{sink})
	g.mu.Lock()
	defer g.mu.Unlock()
	return &Gathered{Facts: g.found, Summary: summary}, err
}

// asThemselves are the hosts as their own login user meets them.
func asThemselves(hosts []*inventory.Host) []*inventory.Host {
	own := make([]*inventory.Host, len(hosts))
	for i, h := range hosts {
		c := *h
		c.Become, c.BecomeUser, c.BecomeMethod, c.Shell = false, "", "", ""
		own[i] = &c
	}
	return own
}

// plain is a sink that is told of no transfers: there are none.
type plain struct{ event.Sink }

func (p plain) Result(r event.Result) {
	r.Transfer = nil
	p.Sink.Result(r)
}

// gathering is one Gather.
type gathering struct {
	limit time.Duration
	mu    sync.Mutex
	found map[string]*Facts
}

// ask asks one host.
func (g *gathering) ask(ctx context.Context, j engine.Job) (*event.Transfer, error) {
	limited, stop := ctx, context.CancelFunc(func() {})
	if g.limit > 0 {
		limited, stop = context.WithTimeout(ctx, g.limit)
	}
	defer stop()
	mark := "@" + rand.Text()
	out := &answers{enough: stop}
	res, err := j.Conn.Exec(limited, Script(mark), out, nil)
	text := out.text()
	if len(text) >= maxOutput {
		return nil, fault(scheduler.KindProtocol, "the host writes without end where facts were asked for")
	}
	f, heard := read(text, mark, time.Now())
	switch {
	case ctx.Err() != nil || err != nil && !heard && limited.Err() == nil:
		return nil, err
	case !heard && limited.Err() != nil:
		return nil, fault(scheduler.KindTimeout, fmt.Sprintf("no answer of the login shell within %v", g.limit))
	case !heard:
		return nil, fault(scheduler.KindProtocol, "no POSIX shell answers"+exitText(res))
	}
	g.mu.Lock()
	g.found[j.Host.Name] = f
	g.mu.Unlock()
	var broken *sshpool.Error
	switch {
	case len(f.Missing) > 0 && limited.Err() != nil:
		return nil, fault(scheduler.KindTimeout, fmt.Sprintf("no end of `%s` within %v; the rest is known", f.Missing[0], g.limit))
	case errors.As(err, &broken) && broken.Kind != sshpool.KindNoStatus:
		return nil, err
	case len(f.Missing) > 0:
		return nil, fault(scheduler.KindProtocol, "the shell ended before its script did, at `"+f.Missing[0]+"`")
	}
	return nil, nil
}

func exitText(res sshpool.ExecResult) string {
	switch {
	case res.Signal != "":
		return ": ended by signal " + res.Signal
	case res.HasExit:
		return fmt.Sprintf(": exit status %d", res.ExitCode)
	}
	return ""
}

func fault(kind scheduler.Kind, text string) error {
	return &scheduler.Error{Outcome: scheduler.Failed, Cause: scheduler.Cause{Kind: kind, Stage: scheduler.StageCommand, Text: text}}
}

// answers keeps what a host writes, up to a bound.
type answers struct {
	enough func() // ends the question
	mu     sync.Mutex
	b      strings.Builder
}

func (a *answers) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.b.Write(p[:min(len(p), maxOutput-a.b.Len())])
	if a.b.Len() >= maxOutput {
		a.enough()
	}
	return len(p), nil
}

func (a *answers) text() []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return []byte(a.b.String())
}
