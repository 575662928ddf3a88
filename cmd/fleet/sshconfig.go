package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fleet/sshpool/sshconfig"
)

// sshConfigFlags say which ssh_config files count.
type sshConfigFlags struct {
	file string
	exec bool
}

func (f *sshConfigFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVarP(&f.file, "ssh-config", "F", "", "ssh_config `FILE`, or none (default: $FLEET_SSH_CONFIG, else ~/.ssh/config and /etc/ssh/ssh_config)")
	fs.BoolVar(&f.exec, "ssh-config-exec", false, "run the commands of 'Match exec' lines of ssh_config")
}

// load reads the files that the flags or the environment name, else the usual ones.
func (f *sshConfigFlags) load(e *env) (*sshconfig.Config, error) {
	file := f.file
	if file == "" {
		file = e.getenv("FLEET_SSH_CONFIG")
	}
	return readSSHConfig(file)
}

// readSSHConfig reads one file, none for "none", the usual ones for "".
func readSSHConfig(file string) (config *sshconfig.Config, err error) {
	switch file {
	case "":
		config, err = sshconfig.Default(nil)
	case "none":
		config, err = sshconfig.Load(nil)
	default:
		config, err = sshconfig.Load(nil, file)
	}
	if err != nil {
		return nil, usage(fmt.Errorf("ssh_config: %w", err), "correct it, or leave it out with -F none")
	}
	return config, nil
}

// matchExecLimit is how long the command of one Match exec may take.
const matchExecLimit = 10 * time.Second

// runner runs the commands of Match exec; nil if the flags do not allow it.
func (f *sshConfigFlags) runner(e *env) func(command string) (bool, error) {
	if !f.exec {
		return nil
	}
	shell := e.getenv("SHELL")
	if shell == "" {
		shell = "/bin/sh"
	}
	m := &matchExecs{shell: shell, limit: matchExecLimit, known: make(map[string]verdict)}
	return m.run
}

// matchExecs runs each command once, whatever the number of hosts that ask.
type matchExecs struct {
	shell string
	limit time.Duration
	mu    sync.Mutex
	known map[string]verdict
}

type verdict struct {
	yes bool
	err error
}

// run says whether a command of Match exec succeeds (ssh_config(5), Match). Its
// output is not shown.
func (m *matchExecs) run(command string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, done := m.known[command]
	if !done {
		a.yes, a.err = m.ask(command)
		m.known[command] = a
	}
	return a.yes, a.err
}

func (m *matchExecs) ask(command string) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), m.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.shell, "-c", command)
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return false, fmt.Errorf("run %s of a Match exec: no answer within %v", quoteWord(command), m.limit)
	case errors.As(err, &exit):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("run a Match exec by %s: %s", m.shell, strings.TrimPrefix(err.Error(), "exec: "))
	}
	return true, nil
}
