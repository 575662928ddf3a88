package transfer

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"fleet/scheduler"
)

// diffMost is the size of the largest files whose difference is shown.
const diffMost = 1 << 20

// tell shows what is to be done, entry by entry.
func (d *pushing) tell(ctx context.Context) error {
	var b bytes.Buffer
	var old map[string][]byte
	for i, ch := range d.plan.changes {
		if _, asked := old[ch.Path]; d.replaces(ch) && !asked {
			var err error
			if old, err = d.oldContents(ctx, d.plan.changes[i:]); err != nil {
				return err
			}
		}
		for _, what := range ch.words() {
			fmt.Fprintf(&b, "%s %s\n", what, shown(ch.Path))
		}
		if d.Diff && ch.send && ch.Kind == File {
			if err := d.difference(&b, ch, old[ch.Path]); err != nil {
				return err
			}
		}
		if b.Len() > 32<<10 {
			d.show.Out.Write(b.Bytes())
			b.Reset()
		}
	}
	for _, e := range d.plan.deletes {
		slash := ""
		if e.Kind == Folder {
			slash = "/"
		}
		fmt.Fprintf(&b, "delete %s%s\n", shown(e.Path), slash)
	}
	d.show.Out.Write(b.Bytes())
	return nil
}

// words say what a change does.
func (ch *change) words() (list []string) {
	switch {
	case ch.send && ch.old == nil:
		list = append(list, "create")
	case ch.removed:
		list = append(list, "replace "+ch.old.Kind.String()+" by "+ch.Kind.String())
	case ch.send:
		list = append(list, "update")
	}
	if ch.mode && ch.old != nil {
		list = append(list, fmt.Sprintf("mode %04o to %04o", ch.old.Mode, ch.Mode))
	}
	if ch.owner && ch.old != nil {
		list = append(list, "owner "+ch.old.Owner+":"+ch.old.Group+" to "+ch.Owner+":"+ch.Group)
	}
	if len(list) == 0 {
		list = append(list, "time")
	}
	return list
}

// shown is a name as a line can hold it.
func shown(name string) string {
	if awkward(name) {
		return quoted([]byte(name))
	}
	return name
}

// replaces says that the difference of a file to the one that is there is to be
// shown, and both are small.
func (d *pushing) replaces(ch *change) bool {
	return d.Diff && ch.send && ch.Kind == File && ch.old != nil && ch.old.Kind == File && ch.old.Size <= diffMost && ch.Size <= diffMost
}

// diffAtOnce is how much of what is to be replaced is in memory, for one host.
const diffAtOnce = 4 << 20

// oldContents fetches files that are to be replaced: the first of the changes, as
// many as may be in memory at once. What was asked for and did not come is nil.
func (d *pushing) oldContents(ctx context.Context, changes []*change) (map[string][]byte, error) {
	old := make(map[string][]byte)
	var names []string
	size := int64(0)
	for _, ch := range changes {
		if !d.replaces(ch) {
			continue
		}
		if size += ch.old.Size; len(names) > 0 && size > diffAtOnce {
			break
		}
		old[ch.Path] = nil
		names = append(names, ch.Path)
	}
	_, err := d.far.fetch(ctx, d.plan.base, nil, names, func(h *tar.Header, r io.Reader) error {
		name := strings.TrimPrefix(h.Name, "./")
		if had, asked := old[name]; !asked || had != nil {
			return &Failure{Kind: scheduler.KindUnsafe, Text: "the host sends what was not asked for: " + quoted([]byte(h.Name))}
		}
		data, err := io.ReadAll(io.LimitReader(r, diffMost+1))
		if err == nil && h.Typeflag == tar.TypeReg && len(data) <= diffMost {
			old[name] = data
		}
		return err
	})
	return old, err
}

// difference writes a unified diff, or a word where there is none to read.
func (d *pushing) difference(b *bytes.Buffer, ch *change, old []byte) error {
	if ch.Size > diffMost || ch.old != nil && old == nil && ch.old.Size > 0 {
		b.WriteString("(no difference shown: large, or not readable)\n")
		return nil
	}
	now, err := d.read(ch.Entry)
	if err != nil {
		return err
	}
	if binary(old) || binary(now) {
		fmt.Fprintf(b, "(binary, %d bytes to %d)\n", len(old), len(now))
		return nil
	}
	name := shown(ch.Path)
	from := "a/" + name
	if ch.old == nil {
		from = "/dev/null"
	}
	text := diff.Diff(from, old, "b/"+name, now)
	if i := bytes.Index(text, []byte("--- ")); i > 0 { // it begins with a line of its own
		text = text[i:]
	}
	b.Write(text)
	return nil
}

func binary(p []byte) bool { return bytes.IndexByte(p[:min(len(p), 8000)], 0) >= 0 }
