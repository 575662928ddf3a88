package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"fleet/internal/event"
	"fleet/scheduler"
)

// appendTransfer appends the member of a result that tells of files; nothing
// for a command.
func appendTransfer(dst []byte, t *event.Transfer) []byte {
	if t == nil {
		return dst
	}
	dst = append(dst, `,"transfer":{`...)
	for i, n := range []struct {
		name  string
		value int64
	}{
		{"sent", int64(t.Sent)}, {"updated", int64(t.Updated)}, {"skipped", int64(t.Skipped)}, {"deleted", int64(t.Deleted)},
		{"folders", int64(t.Folders)}, {"refused", int64(t.Refused)}, {"bytes", t.Bytes}, {"resumed", t.Resumed},
	} {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), n.name...), `":`...)
		dst = strconv.AppendInt(dst, n.value, 10)
	}
	dst = appendString(append(dst, `,"way":`...), t.Way)
	dst = strconv.AppendBool(append(dst, `,"dry_run":`...), t.DryRun)
	dst = strconv.AppendBool(append(dst, `,"atomic":`...), !t.NotAtomic)
	dst = strconv.AppendBool(append(dst, `,"synced":`...), !t.NotSynced)
	return append(appendSpread(dst, t), '}')
}

// transferText is what became of the files of a host that ended ok.
func transferText(t *event.Transfer) string {
	verb, would := "sent", ""
	if t.Pull {
		verb = "fetched"
	}
	if t.DryRun {
		would = "would be "
	}
	var parts []string
	if t.Sent > 0 {
		parts = append(parts, fmt.Sprintf("%s %s%s (%s)", plural(t.Sent, "file"), would, verb, FormatBytes(t.Bytes)))
		would = ""
	}
	for _, c := range []struct {
		n    int
		text string
	}{
		{t.Updated, "updated"}, {t.Deleted, "deleted"}, {t.Refused, "refused"}, {t.Skipped, "unchanged"},
	} {
		if c.n > 0 && c.text != "unchanged" {
			parts = append(parts, fmt.Sprintf("%d %s%s", c.n, would, c.text))
			would = ""
		} else if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d unchanged", c.n))
		}
	}
	switch {
	case len(parts) == 0 && t.Folders > 0:
		parts = append(parts, plural(t.Folders, "folder")+" "+would+"made")
	case len(parts) == 0:
		parts = append(parts, "nothing to do")
	}
	if t.Resumed > 0 {
		parts = append(parts, FormatBytes(t.Resumed)+" were there from an earlier run")
	}
	if t.NotAtomic {
		parts = append(parts, "not exchanged in one step")
	}
	return strings.Join(parts, ", ")
}

// FormatBytes is a size for people, in units of 1024.
func FormatBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, i := float64(n)/1024, 0
	for v >= 1023.95 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " " + units[i:i+1] + "iB"
}

// transfers is what a tally knows of files that are moved.
type transfers struct {
	done  map[string][]string // hosts by what became of their files
	any   bool
	total event.Transfer     // of all hosts, also of those that failed
	now   map[string]*moving // hosts under way
	ended int64              // bytes of hosts that are done

	endedTotal int64
	endedHosts int
	none       int // hosts that are done and moved nothing, as they were not reached
	samples    []byteSample
	told       time.Time // the last line where there is no status line
	spread     spread
}

// transferred takes a host's result into account.
func (t *tally) transferred(r event.Result) {
	f := &t.files
	if r.Transfer == nil {
		f.none++
		return
	}
	f.any = true
	f.total.Sent += r.Transfer.Sent
	f.total.Bytes += r.Transfer.Bytes
	moved := r.Transfer.Bytes
	if m := f.now[r.Host]; m != nil {
		moved = max(moved, m.Bytes)
	}
	f.ended += moved
	f.endedTotal += moved
	f.endedHosts++
	delete(f.now, r.Host)
	if r.Outcome != scheduler.OK {
		return
	}
	f.spread.add(r.Host, r.Transfer)
	if f.done == nil {
		f.done = make(map[string][]string)
	}
	text := transferText(r.Transfer)
	f.done[text] = append(f.done[text], r.Host)
}

// transfersMax is how many lines of what became of files a terminal gets.
const transfersMax = 10

// appendTransfers tells what became of the files, each once for all its hosts.
func (b *base) appendTransfers(p []byte) []byte {
	f := &b.tally.files
	type line struct {
		text  string
		hosts []string
	}
	var lines []line
	for text, hosts := range f.done {
		slices.Sort(hosts)
		lines = append(lines, line{text, hosts})
	}
	slices.SortFunc(lines, func(x, y line) int {
		return cmp.Or(cmp.Compare(len(y.hosts), len(x.hosts)), cmp.Compare(x.hosts[0], y.hosts[0]))
	})
	rest := 0
	if b.o.ErrTerminal && len(lines) > transfersMax {
		for _, l := range lines[transfersMax-1:] {
			rest += len(l.hosts)
		}
		lines = lines[:transfersMax-1]
	}
	for _, l := range lines {
		p = append(p, b.foldFor(l.hosts, b.o.ErrTerminal)+": "+l.text+"\n"...)
	}
	if rest > 0 {
		p = append(p, fmt.Sprintf("and %s more, %s (%s) in all\n", plural(rest, "host"), plural(f.total.Sent, "file"), FormatBytes(f.total.Bytes))...)
	}
	return b.appendSpread(p)
}
