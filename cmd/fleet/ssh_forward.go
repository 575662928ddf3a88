package main

import "github.com/spf13/cobra"

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

func (f *forwardFlags) parse(*visit) error {
	if !f.none() {
		return usagef("forwards are not supported yet")
	}
	return nil
}
