package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"fleet/inventory"
	"fleet/scheduler"
	"fleet/sshpool"
)

// Become says whom commands run as. What it sets stands above what the inventory
// says; its zero value leaves all to that.
type Become struct {
	Set, On      bool // On counts where Set is true
	User, Method string
	// Password gives the password for all hosts; nil leaves that to the inventory.
	Password func() string
	// Limit is the longest until a command begins as the user; 0 is
	// sshpool.DefaultBecomeLimit.
	Limit time.Duration
	// Secret is told each password that the inventory refers to. May be nil.
	Secret func(password []byte)
}

// of says for each host whom its command runs as; hosts at which that is the
// login user are not in the map. Files and commands that hold passwords are read,
// each once. An error is about the settings.
func (b *Become) of(ctx context.Context, hosts []*inventory.Host, expand func(string) string) (map[string]*scheduler.Become, error) {
	all := map[string]*scheduler.Become{}
	read := map[string]string{}
	for _, h := range hosts {
		on := h.Become
		if b.Set {
			on = b.On
		}
		if !on {
			continue
		}
		to := &scheduler.Become{Method: cmp.Or(b.Method, h.BecomeMethod), User: cmp.Or(b.User, h.BecomeUser), Password: b.Password, Limit: b.Limit}
		if to.Password == nil {
			password, err := b.password(ctx, h, read, expand)
			if err != nil {
				return nil, fmt.Errorf("host %s: %w", h.Name, err)
			}
			if password != "" {
				to.Password = func() string { return password }
			}
		}
		all[h.Name] = to
	}
	return all, nil
}

// One is how the command of one host becomes another user, whatever the inventory
// says of whether it does; b.Set is not looked at. Files and commands that hold the
// password are read. An error is about the settings.
func (b *Become) One(ctx context.Context, h *inventory.Host) (*sshpool.Become, error) {
	always := *b
	always.Set, always.On = true, true
	all, err := always.of(ctx, []*inventory.Host{h}, inHome)
	if err != nil {
		return nil, err
	}
	return poolBecome(all[h.Name]), nil
}

// checkRaw refuses to send a command alone to hosts where another user is wanted.
func (req *Request) checkRaw(becomes map[string]*scheduler.Become) error {
	if !req.How.Raw || req.Work != nil || len(becomes) == 0 {
		return nil
	}
	return hinted(fmt.Errorf("a command that is sent alone (raw) cannot become another user; nothing was done on %s",
		inventory.Fold(slices.Sorted(maps.Keys(becomes)))), "leave --raw out, or --become=false sends it as the login user")
}

// password is what the inventory has for a host; empty if it has none.
func (b *Become) password(ctx context.Context, h *inventory.Host, read map[string]string, expand func(string) string) (string, error) {
	var id string
	var get func() (string, error)
	switch {
	case h.BecomePassword.IsSet():
		return h.BecomePassword.Text(), nil
	case h.BecomePassFile != "":
		path := expand(h.BecomePassFile)
		id, get = "file "+path, func() (string, error) { return secretFile(path) }
	case h.BecomePassCommand != "":
		id, get = "command "+h.BecomePassCommand, func() (string, error) { return SecretCommand(ctx, h.BecomePassCommand) }
	default:
		return "", nil
	}
	if text, ok := read[id]; ok {
		return text, nil
	}
	text, err := get()
	if err != nil {
		return "", err
	}
	read[id] = text
	if b.Secret != nil {
		b.Secret([]byte(text))
	}
	return text, nil
}

// Bounds of a secret that somebody else gives.
const (
	maxSecret       = 64 << 10
	secretTime      = 30 * time.Second
	secretAfterTime = time.Second
)

func secretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("become_pass_file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", fmt.Errorf("become_pass_file: %w", err)
	}
	line := firstLine(text)
	if line == "" {
		return "", fmt.Errorf("become_pass_file: %s: its first line is empty", path)
	}
	return line, nil
}

// SecretCommand runs a command of this machine by /bin/sh and gives the first line
// that it writes. It has 30 seconds; where Ctrl-C ends it the error is
// ErrInterrupted. What it writes to standard error is not shown but for its
// beginning, in an error.
func SecretCommand(ctx context.Context, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTime)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdout, cmd.Stderr = &limited{w: &out, left: maxSecret}, &limited{w: &errs, left: maxSecret}
	cmd.WaitDelay = secretAfterTime
	err := cmd.Run()
	line := firstLine(out.Bytes())
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("password command %q: no end after %v", command, secretTime)
	case byCtrlC(err):
		return "", fmt.Errorf("password command %q: %w", command, ErrInterrupted)
	case err != nil:
		return "", fmt.Errorf("password command %q: %w%s", command, err, said(firstLine(errs.Bytes())))
	case line == "":
		return "", fmt.Errorf("password command %q: its first line is empty", command)
	}
	return line, nil
}

// byCtrlC says that a command of this machine ended as one does that the terminal
// sent SIGINT, as it did this process: which of the two hears of it first is chance.
func byCtrlC(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT || exit.ExitCode() == 128+int(syscall.SIGINT)
}

func said(line string) string {
	if line == "" {
		return ""
	}
	return ": " + line
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r")))
}

// limited drops what is too much.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// inHome makes ~ and ~/x paths of the user's home.
func inHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && rest[0] != '/' {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return home + rest
}

// poolBecome is b in the pool's words; nil stays nil.
func poolBecome(b *scheduler.Become) *sshpool.Become {
	if b == nil {
		return nil
	}
	return &sshpool.Become{Method: b.Method, User: b.User, Password: b.Password, Limit: b.Limit}
}
