package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"fleet/internal/forward"
	"fleet/sshpool"
)

// forwardFlags say which connections are carried through the one to the host.
type forwardFlags struct {
	local, remote, dynamic []string
	only                   bool
}

func (f *forwardFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.StringArrayVarP(&f.local, "local", "L", nil, "carry connections made here to where the host can reach, by `SPEC`")
	fs.StringArrayVarP(&f.remote, "remote", "R", nil, "carry connections made on the host to where this machine can reach, by `SPEC`")
	fs.StringArrayVarP(&f.dynamic, "dynamic", "D", nil, "serve SOCKS5 here for where the host can reach, by `SPEC`")
	fs.BoolVarP(&f.only, "no-command", "N", false, "run nothing, only forward")
}

func (f *forwardFlags) none() bool { return len(f.local)+len(f.remote)+len(f.dynamic) == 0 }

// specs are the forwards that the flags ask for.
func (f *forwardFlags) specs() (specs []forward.Spec, err error) {
	for _, flag := range []struct {
		kind  forward.Kind
		texts []string
	}{{forward.Local, f.local}, {forward.Remote, f.remote}, {forward.Dynamic, f.dynamic}} {
		for _, text := range flag.texts {
			s, err := forward.Parse(flag.kind, text)
			if err != nil {
				return nil, usage(fmt.Errorf("-%c %s: %w", flag.kind, quoteWord(text), err))
			}
			specs = append(specs, s)
		}
	}
	return specs, nil
}

// carry serves forwards over conn until stop is called.
func (v *visit) carry(ctx context.Context, conn *sshpool.Conn) (stop func(), err error) {
	if err := v.forwards.Open(ctx, conn); err != nil {
		return nil, fmt.Errorf("%s: %w", v.host.Name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.forwards.Serve(ctx, conn)
	}()
	return func() {
		cancel()
		<-done
	}, nil
}

// wait keeps forwards open until the user or the host ends the connection.
func (v *visit) wait(ctx context.Context, conn *sshpool.Conn) error {
	select {
	case <-ctx.Done():
		return v.failed(ctx, context.Cause(ctx))
	case <-conn.Done():
		return v.failed(ctx, conn.Err())
	}
}
