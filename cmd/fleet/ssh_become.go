package main

import (
	"context"
	"errors"
	"time"

	"fleet/internal/engine"
	"fleet/inventory"
	"fleet/sshpool"
)

// becomeShell is the login shell of whoever runs it, at home. sudo, su and doas
// differ in what SHELL is; of a user who may not log in a shell is wanted all the
// same.
const becomeShell = `cd 2>/dev/null
s=$(getent passwd "$(id -un)" 2>/dev/null)
s=${s##*:}
[ -x "$s" ] || s=$SHELL
case $s in
""|*/nologin|*/false) s=/bin/sh ;;
esac
exec "$s" -l`

// leaveKill is from TERM to KILL where somebody leaves a command that runs as
// another user, and waits for that.
const leaveKill = time.Second

// become has the session be another user's, where flags say so.
func (v *visit) become(ctx context.Context, ask *prompter) error {
	req := engine.Request{Hosts: []*inventory.Host{v.host}}
	if !v.o.become.on { // what the inventory wants is told of and not heeded
		req.Hosts = nil
	}
	if err := v.o.become.apply(ctx, v.env, &v.o.connect, &req, ask); err != nil || !v.o.become.on {
		return err
	}
	var to *sshpool.Become
	err := untilStopped(ctx, ask.stopped, func(ctx context.Context) (err error) {
		to, err = req.Become.One(ctx, v.host)
		return err
	})
	if errors.Is(err, errInterrupted) {
		return err
	}
	if err != nil {
		return usage(err)
	}
	v.cmd.Become, v.cmd.Supervise = to, &sshpool.Supervision{KillAfter: leaveKill}
	if v.cmd.Shell {
		v.cmd.Shell, v.cmd.Text = false, becomeShell
		v.shell = true
	}
	return nil
}
