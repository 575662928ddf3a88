package sshpool

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/crypto/ssh/agent"
)

// AgentKeys lists the keys of the agent that listens at socket, usually
// $SSH_AUTH_SOCK, as `ssh-add -L` does. The comments are the agent's text and
// not made safe to show. Where ctx has no deadline the wait is 5 seconds.
func AgentKeys(ctx context.Context, socket string) ([]*agent.Key, error) {
	late := errors.New("no answer")
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, maxAgentWait, late)
		defer cancel()
	}
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		if err = innermost(err); ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("agent: %w", err)
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	keys, err := agent.NewClient(nc).List()
	if !stop() && err != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	return keys, nil
}
