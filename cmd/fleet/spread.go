package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"fleet/internal/transfer"
)

// spreadFlags say how hosts get large files from each other.
type spreadFlags struct {
	seeds  int
	fanout int
	by     string
	set    func(flag string) bool
}

// spreadHelp is what the help of push says of them.
const spreadHelp = `With --spread N only N hosts get large files (8 MiB; in a tree 64 MiB) from
here, and the others from hosts that have them, for lines that are thin on this
side. Every copy is compared with the SHA-256 of the file here. --spread-by says
how:

  key    The host that has the file runs ssh to the other. A key that is made
         for this one copy, and whose private half stays here, may write one
         temporary file there and do nothing else; while the copy runs it is in
         ~/.ssh/authorized_keys, with a time after which it is void. The worst
         that a host can do to another is to send it a wrong file, which is
         found out and thrown away.
  agent  The same with your own key: it signs one login, at that host alone,
         which ssh proves (OpenSSH 8.9). Until the copy ends a hostile host can
         do there what you can. Nothing is changed in authorized_keys.
  relay  This machine reads from the one host and writes to the other. They need
         not reach each other, and the line here carries every copy.

What does not work goes from here; the summary says why.`

func (f *spreadFlags) declare(fs *pflag.FlagSet) {
	f.set = fs.Changed
	fs.IntVar(&f.seeds, "spread", 0, "send large files to `N` hosts, and to the others from those (default: to all)")
	fs.StringVar(&f.by, "spread-by", string(transfer.SpreadKey), "how hosts get files from others: `WAY` key, agent or relay")
	fs.IntVar(&f.fanout, "spread-fanout", 2, "hosts that one host serves at once, 1 to 8")
}

// maxSpreadFanout is what one connection to a host has sessions for.
const maxSpreadFanout = 8

// check gives how files are spread; nil if they are not.
func (f *spreadFlags) check(o *pushOptions) (*transfer.Spread, error) {
	switch {
	case f.seeds < 0 || f.seeds == 0 && f.set("spread"):
		return nil, usagef("--spread %d: at least 1 host has to get the files from here", f.seeds)
	case f.seeds == 0 && (f.set("spread-by") || f.set("spread-fanout")):
		return nil, usage(errors.New("--spread-by and --spread-fanout say how, without --spread"), "--spread 4 has four hosts get the files from here")
	case f.seeds == 0:
		return nil, nil
	case !slices.Contains(transfer.SpreadWays, f.by):
		return nil, usage(fmt.Errorf("unknown --spread-by %s", quoteWord(f.by)), "--spread-by takes "+strings.Join(transfer.SpreadWays, ", "))
	case f.fanout < 1 || f.fanout > maxSpreadFanout:
		return nil, usagef("--spread-fanout %d: from 1 to %d", f.fanout, maxSpreadFanout)
	case o.noVerify:
		return nil, usagef("--no-verify: what hosts get from each other is always compared; leave out --spread or this")
	case o.bandwidth.host.bytes > 0:
		return nil, usagef("--bwlimit-host: does not hold from host to host; leave out --spread or this")
	case o.become.on:
		return nil, usagef("--become: files that are written as another user are not spread; leave out --spread or this")
	case o.template:
		return nil, usagef("--template: each host gets its own files, which cannot be spread; leave out --spread or this")
	}
	return &transfer.Spread{Seeds: f.seeds, Fanout: f.fanout, By: transfer.SpreadWay(f.by)}, nil
}

// spreadNote is what a dry run says of it.
func spreadNote(s *transfer.Spread, hosts int) string {
	return fmt.Sprintf("fleet: spread: the first %d of %d hosts would get large files from here, the others from hosts that have them (%s); who serves whom is decided as it goes",
		s.Seeds, hosts, s.By)
}
