package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"fleet/internal/engine"
	"fleet/internal/forward"
	"fleet/internal/render"
	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// visit is one `fleet ssh` under way.
type visit struct {
	*env
	o     *sshOptions
	host  *inventory.Host
	cmd   sshpool.Command
	shell bool // cmd is a shell of another user
	notes *notes
	end   context.CancelCauseFunc // ends the session for a reason

	forwards *forward.Set
	settings engine.Session // of ssh_config
	agent    string         // socket of the agent here
}

// Why a session ends from our side.
var (
	errLeft    = errors.New("left by escape")
	errPassing = errors.New("pass output on")
)

// run goes to the host and stays until the end.
func (v *visit) run(ctx context.Context) error {
	ctx, v.end = context.WithCancelCause(ctx)
	defer v.end(nil)
	stop := catchInterrupts()
	defer stop.release()
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	defer signal.Stop(quit)
	go func() {
		select {
		case <-stop.first:
			v.end(errInterrupted)
		case <-quit:
			v.end(errInterrupted)
		case <-ctx.Done():
		}
	}()
	specs, err := v.o.forwards.specs()
	if err != nil {
		return err
	}
	v.forwards, err = forward.Listen(ctx, specs, func(text string) { v.notes.Note("fleet: " + text) })
	if err != nil {
		return err
	}
	defer v.forwards.Close()
	conn, leave, err := v.connect(ctx, stop)
	if err != nil {
		return err
	}
	defer leave()
	done, err := v.carry(ctx, conn)
	if err != nil {
		return err
	}
	defer done()
	if v.o.forwards.only {
		return v.wait(ctx, conn)
	}
	return v.stay(ctx, conn)
}

// connect gets the connection to the host; leave ends it.
func (v *visit) connect(ctx context.Context, stop *interrupts) (conn *sshpool.Conn, leave func(), err error) {
	ask := &prompter{stopped: stop.first}
	access, err := v.o.connect.access(v.env, ask)
	if err != nil {
		return nil, nil, err
	}
	if err := v.become(ctx, ask); err != nil {
		return nil, nil, err
	}
	tellOn(&access, v.notes, 2*v.o.verbose) // of one host, all is told
	targets, err := access.Reach(ctx, []*inventory.Host{v.host})
	if errors.Is(err, errInterrupted) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, usage(err)
	}
	pool := sshpool.NewPool(sshpool.PoolConfig{Log: access.Log})
	closeAll := func() {
		pool.Close()
		if err := errors.Join(targets.Close(), errors.Join(targets.Unwritten()...)); err != nil {
			v.notes.Note("fleet: warning: " + err.Error())
		}
	}
	v.agent = access.Agent
	target, err := targets.Target(v.host.Name)
	if err == nil {
		v.settings, err = targets.Session(v.host.Name)
	}
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	conn, release, err := pool.Get(ctx, target)
	if err != nil {
		closeAll()
		return nil, nil, v.failed(ctx, err)
	}
	return conn, func() { release(); closeAll() }, nil
}

// stay does on the host what was asked for.
func (v *visit) stay(ctx context.Context, conn *sshpool.Conn) error {
	here := localTerminal(v.stdin)
	if wantsTTY(v.o, v.settings.TTY, v.cmd.Shell || v.shell, here != nil) {
		v.cmd.PTY = here.describe(v.getenv("TERM"))
	} else {
		here = nil
	}
	v.cmd.OfferEnv = v.settings.OfferEnv
	if err := v.lendAgent(); err != nil {
		return err
	}
	v.cmd.Stdout, v.cmd.Stderr = passer{v.stdout, v.end}, passer{v.stderr, v.end}
	if !v.o.noStdin && v.o.connect.passFile != "-" && v.o.become.passFile != "-" {
		// With nohup(1) it cannot be read, which to ssh(1), too, is an input without
		// content.
		v.cmd.Stdin = sshpool.TillError(v.stdin)
	}
	if here != nil && v.cmd.Stdin != nil {
		v.cmd.Stdin = newKeyboard(v.cmd.Stdin, v.command)
	}
	session, err := conn.Start(ctx, v.cmd)
	if err != nil {
		return v.failed(ctx, err)
	}
	if here != nil {
		if err := here.enter(v.notes); err != nil {
			v.end(err)
		}
		defer here.leave(v.notes)
		defer here.follow(session)()
	}
	result, err := session.Wait()
	here.leave(v.notes)
	return v.verdict(ctx, result, err)
}

// wantsTTY tells whether to ask for a terminal: by the flags, else by what
// ssh_config's RequestTTY says, else for a shell where there is one here.
func wantsTTY(o *sshOptions, request string, shell, here bool) bool {
	switch {
	case o.tty || o.noTTY:
		return o.tty
	case request == "force":
		return true
	case request == "yes":
		return here
	case request == "no":
		return false
	}
	return shell && here
}

// lendAgent lets the host use the agent, where that is asked for.
func (v *visit) lendAgent() error {
	v.cmd.ForwardAgent = v.settings.ForwardAgent
	if v.o.agent {
		v.cmd.ForwardAgent = v.agent
		if v.agent == "" {
			return usage(errors.New("--forward-agent: there is no agent"), "start one, and let $SSH_AUTH_SOCK name its socket")
		}
	}
	if v.cmd.ForwardAgent != "" {
		v.notes.Note("fleet: warning: the ssh-agent is lent to " + v.host.Name + ": whoever is root there can log in with its keys meanwhile")
	}
	return nil
}

// verdict makes the exit status of how a session ended.
func (v *visit) verdict(ctx context.Context, r sshpool.ExecResult, err error) error {
	if r.Lingering {
		v.notes.Note("fleet: warning: " + v.host.Name + ": the command has ended; what it left running holds its output open and is not waited for")
	}
	switch {
	case err != nil && (!r.HasExit || ctx.Err() != nil || v.cmd.Become != nil && r.Supervised.PID == 0):
		return v.failed(ctx, err)
	case r.Signal != "":
		return &fault{code: signalStatus(r.Signal), err: fmt.Errorf("%s: ended by signal %s", v.host.Name, r.Signal)}
	case r.ExitCode != exitOK:
		return &fault{code: r.ExitCode}
	}
	return nil
}

// signalStatus is the exit status of a command ended by a signal, as shells have it.
func signalStatus(name string) int {
	if n := unix.SignalNum("SIG" + name); n > 0 {
		return 128 + int(n)
	}
	return exitFailed
}

// failed is what is said about an error, and the exit status.
func (v *visit) failed(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errLeft):
		return &fault{code: exitInterrupted, err: fmt.Errorf("connection to %s closed", v.host.Name)}
	case errors.Is(cause, errInterrupted):
		return &fault{code: exitInterrupted}
	case cause != nil && !errors.Is(cause, context.Canceled):
		return fmt.Errorf("%s: %w", v.host.Name, cause)
	}
	var e *sshpool.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", v.host.Name, err)
	}
	f := &fault{code: exitUnreachable, err: fmt.Errorf("%s: %s", v.host.Name, e.Text)}
	if detail := engine.KeyDetail(err); detail != "" {
		f.err = fmt.Errorf("%w: %s", f.err, detail)
	}
	switch {
	case e.Kind == sshpool.KindConnLost && e.Sent:
	case e.Sent, e.Kind == sshpool.KindPermission:
		f.code = exitFailed
	case e.Kind == sshpool.KindInternal:
		f.code = exitInternal
	}
	if hint := render.Hint(scheduler.Kind(e.Kind), scheduler.Stage(e.Stage)); hint != "" {
		f.hints = []string{hint}
	}
	return f
}

// passer passes output on, and ends the session when nobody takes it any more.
type passer struct {
	w   io.Writer
	end context.CancelCauseFunc
}

func (p passer) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if err != nil {
		p.end(fmt.Errorf("%w: %w", errPassing, rootCause(err)))
	}
	return n, err
}

// rootCause is the error of the system below err, where there is one.
func rootCause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
