package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
)

// connectFlags say how hosts are reached and logged in to. They stand above
// what the inventory says, and that above ssh_config.
type connectFlags struct {
	user       string
	port       int
	keys       []string
	askPass    bool
	passFile   string
	hostKeys   string
	knownHosts []string
	timeout    time.Duration
	noInput    bool
	jump       []string
	answers    string
	// interactive lets a person answer what hosts ask at login; for one host that
	// is what anybody expects, for a thousand it is a flag.
	interactive bool
	ssh         sshConfigFlags
	set         func(flag string) bool // says whether a flag was given
}

var hostKeyModes = []string{"strict", "accept-new", "insecure-off"}

func (f *connectFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	f.set = fs.Changed
	fs.StringVarP(&f.user, "user", "u", "", "user to log in as (default: the inventory's, else ssh_config's, else your own name)")
	fs.IntVarP(&f.port, "port", "p", 0, "port (default: the inventory's, else ssh_config's, else 22)")
	fs.StringArrayVar(&f.keys, "key", nil, "private key `FILE` to log in with, may be given again")
	fs.StringSliceVarP(&f.jump, "jump", "J", nil, "reach hosts through jump `HOSTS` [user@]host[:port], the nearest first, or none (default: the inventory's, else ssh_config's)")
	fs.BoolVarP(&f.askPass, "ask-pass", "k", false, "ask once for the login password")
	fs.StringVar(&f.passFile, "pass-file", "", "read the login password from `FILE`, - for standard input")
	fs.StringVar(&f.answers, "answers", "", "answer questions of the login from `FILE`, lines of QUESTION = ANSWER")
	fs.BoolVar(&f.interactive, "interactive", f.interactive, "ask on the terminal what hosts ask at login, such as one-time codes")
	fs.StringVar(&f.hostKeys, "hostkeys", "", "`MODE` of checking host keys: "+strings.Join(hostKeyModes, ", ")+" (default: accept-new if ssh_config says so, else strict)")
	fs.StringArrayVar(&f.knownHosts, "known-hosts", nil, "known_hosts `FILE`, may be given again (default: the inventory's, else those of ssh_config and ssh)")
	fs.DurationVar(&f.timeout, "connect-timeout", 0, "longest `TIME` from TCP to login (default: the inventory's, else ssh_config's, else 10s)")
	fs.BoolVar(&f.noInput, "no-input", false, "never ask anything")
	f.ssh.declare(c)
	fixedCompletion(c, "hostkeys", hostKeyModes)
}

// access is what the flags say about reaching hosts. Questions are asked by ask.
func (f *connectFlags) access(e *env, ask *prompter) (engine.Access, error) {
	if err := f.check(); err != nil {
		return engine.Access{}, err
	}
	ask.allowed = !f.noInput
	a := engine.Access{
		User: f.user, Port: f.port, Keys: f.keys,
		Jump: f.jump, HostKeys: f.hostKeys, KnownHosts: f.knownHosts,
		ConnectTimeout: f.timeout,
		Agent:          e.getenv("SSH_AUTH_SOCK"),
		Stopped:        func() <-chan struct{} { return ask.stopped },
	}
	if ask.allowed {
		a.Passphrase = passphrases(ask)
		a.Touch = touches(ask)
	}
	if ask.allowed && f.interactive {
		a.Interactive = questions(ask)
	}
	a.MatchExec = f.ssh.runner(e)
	var err error
	if a.SSHConfig, err = f.ssh.load(e); err != nil {
		return a, err
	}
	if a.Answers, err = f.readAnswers(); err != nil {
		return a, err
	}
	a.Password, err = f.password(e, ask)
	return a, err
}

func (f *connectFlags) check() error {
	switch {
	case f.set("user") && f.user == "":
		return usagef("--user '': a user has a name")
	case f.set("jump") && strings.Join(f.jump, "") == "":
		return usage(errors.New("--jump '': no host"), "--jump none uses no jump host")
	case f.set("port") && (f.port < 1 || f.port > 65535):
		return usagef("--port %d: a port is 1 to 65535", f.port)
	case f.timeout < 0:
		return usagef("--connect-timeout %v: a time cannot be negative", f.timeout)
	case f.hostKeys != "" && !slices.Contains(hostKeyModes, f.hostKeys):
		return usage(fmt.Errorf("--hostkeys %s: unknown mode", quoteWord(f.hostKeys)), "--hostkeys takes "+strings.Join(hostKeyModes, ", "))
	case f.askPass && f.passFile != "":
		return usagef("--ask-pass and --pass-file exclude each other")
	}
	return nil
}

// passphrases asks for the passphrase of a key file, and says so where it asks
// again. Logins that differ may ask for their keys at the same time.
func passphrases(ask *prompter) func(ctx context.Context, file string) ([]byte, error) {
	var mu sync.Mutex
	asked := map[string]bool{}
	return func(ctx context.Context, file string) ([]byte, error) {
		mu.Lock()
		again := asked[file]
		asked[file] = true
		mu.Unlock()
		question := "passphrase for key " + file
		if again {
			question = "wrong; " + question
		}
		return ask.secret(ctx, question)
	}
}

// password gets the login password, once, before anything is sent; nil if none
// is asked for.
func (f *connectFlags) password(e *env, ask *prompter) (func(context.Context) (string, error), error) {
	var secret string
	switch {
	case f.askPass:
		answer, err := ask.secret(context.Background(), "login password")
		if errors.Is(err, errNoPrompt) {
			return nil, usage(fmt.Errorf("--ask-pass: %w", err), "--pass-file FILE reads it from a file")
		}
		if err != nil {
			return nil, err
		}
		secret = string(answer)
	case f.passFile != "":
		var err error
		if secret, err = secretFile(f.passFile, e.stdin); err != nil {
			return nil, usage(fmt.Errorf("--pass-file: %w", err))
		}
	default:
		return nil, nil
	}
	return func(context.Context) (string, error) { return secret, nil }, nil
}

// tellOn has what comes up while hosts are reached told on the sink: warnings,
// and how connections come about, for all hosts with -vv, else for those whose
// LogLevel in ssh_config asks for it.
func tellOn(a *engine.Access, on noter, verbose int) {
	log := slog.New(slog.NewTextHandler(noteWriter{on}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	a.HostLog = log
	if verbose > 1 {
		a.Log = log
	}
	a.Talkative = verbose > 0
	a.Warn = func(text string) { on.Note("fleet: warning: " + text) }
}

// noter shows single lines of fleet's own, as a render.Sink does.
type noter interface{ Note(text string) }

// noteWriter makes each write, one record of a slog handler, a note.
type noteWriter struct{ on noter }

func (w noteWriter) Write(p []byte) (int, error) {
	w.on.Note(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}
