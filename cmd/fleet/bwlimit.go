package main

import (
	"github.com/spf13/pflag"

	"fleet/internal/transfer"
	"fleet/sshpool"
)

// bandwidthFlags say how fast files may go.
type bandwidthFlags struct{ all, host byteSize }

func (f *bandwidthFlags) declare(fs *pflag.FlagSet) {
	fs.Var(&f.all, "bwlimit", "most bytes a second for all hosts together, a `SIZE` such as 10M (default: no limit)")
	fs.Var(&f.host, "bwlimit-host", "most bytes a second for each host, a `SIZE`")
}

// bandwidth is one for all hosts of a run.
func (f *bandwidthFlags) bandwidth() transfer.Bandwidth {
	b := transfer.Bandwidth{Host: f.host.bytes}
	if f.all.bytes > 0 {
		b.All = sshpool.NewRate(f.all.bytes)
	}
	return b
}
