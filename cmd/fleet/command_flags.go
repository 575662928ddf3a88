package main

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fleet/scheduler"
)

// commandFlags say how a command is run on its host.
type commandFlags struct {
	raw         bool
	killAfter   time.Duration
	keepRunning bool
	shell       string
	cwd         string
	env         []string
	tty         bool
	stdin       string
	script      string
	scriptText  []byte // what it holds, once it was read
	set         func(flag string) bool
}

func (f *commandFlags) declare(c *cobra.Command) {
	f.declareLasting(c)
	fs := c.Flags()
	fs.BoolVar(&f.tty, "tty", false, "give the command a terminal; all output is then standard output")
	fs.StringVar(&f.stdin, "stdin", "", "have the command read `FILE`, - for standard input, on each host")
	fs.StringVar(&f.script, "script", "", "run the script `FILE` of this machine, - for standard input, instead of COMMAND; ARGs are its arguments")
}

// declareLasting declares those that can hold for one command after the other.
func (f *commandFlags) declareLasting(c *cobra.Command) {
	fs := c.Flags()
	f.set = fs.Changed
	fs.DurationVar(&f.killAfter, "kill-after", 5*time.Second, "`TIME` from TERM to KILL where a command is ended: by -t, --deadline, Ctrl-C or a lost connection")
	fs.BoolVar(&f.keepRunning, "keep-running", false, "let commands go on where the connection is lost")
	fs.StringVar(&f.shell, "shell", "", "`PATH` of the shell that reads COMMAND (default: the inventory's, else the user's login shell)")
	fs.StringVar(&f.cwd, "cwd", "", "`FOLDER` of the host to run in, ~/x in the user's home")
	fs.StringArrayVar(&f.env, "env", nil, "set a variable for the command, `NAME=VALUE`, or pass fleet's own on, NAME; may be given again")
	fs.BoolVar(&f.raw, "raw", false, "send COMMAND as it is, for devices and accounts without a POSIX shell; its end cannot be seen to")
}

// mostKillAfter bounds --kill-after: a run that is stopped waits for it.
const mostKillAfter = time.Hour

// how is what the flags ask of each host.
func (f *commandFlags) how() (scheduler.Exec, error) {
	switch {
	case f.killAfter < 0:
		return scheduler.Exec{}, usagef("--kill-after %v: a time cannot be negative", f.killAfter)
	case f.killAfter > mostKillAfter:
		return scheduler.Exec{}, usagef("--kill-after %v: at most %v", f.killAfter, mostKillAfter)
	case f.set("shell") && strings.TrimSpace(f.shell) == "":
		return scheduler.Exec{}, usagef("--shell '': a shell has a path")
	case f.set("cwd") && f.cwd == "":
		return scheduler.Exec{}, usagef("--cwd '': a folder has a name")
	}
	if f.raw {
		for _, flag := range []string{"kill-after", "keep-running", "shell", "cwd", "env", "script"} {
			if f.set(flag) {
				return scheduler.Exec{}, usage(errors.New("--raw and --"+flag+" exclude each other"), "--raw sends COMMAND and nothing else")
			}
		}
	}
	return scheduler.Exec{Raw: f.raw, KillAfter: max(f.killAfter, time.Second), KeepRunning: f.keepRunning, Shell: f.shell, Dir: f.cwd, TTY: f.tty}, nil
}
