package transfer

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"fleet/tasks"
)

// pack is the stream that fills a stage: below "t/" what is sent, and last
// "sums", "check", and "apply", whose presence says that all has come.
type pack struct {
	p      *Push
	plan   *plan
	far    *outlook
	tick   func(bytes int64, files int)
	w      *tar.Writer
	sums   strings.Builder // lines for sha256sum -c
	check  strings.Builder // sh code for names that such lines cannot hold
	names  strings.Builder // for cksum, ending in NUL
	buf    []byte
	inTar  map[string]bool
	verify string // the tool that compares digests; empty for none
}

// write writes the stream. The names of owners are those of p.far.
func (k *pack) write(ctx context.Context, dst io.Writer) error {
	out := bufio.NewWriterSize(dst, 256<<10)
	k.w, k.buf, k.inTar = tar.NewWriter(out), make([]byte, bufferSize), make(map[string]bool)
	for _, ch := range k.plan.changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !ch.send || ch.Path == "." {
			continue
		}
		if err := k.entry(ch); err != nil {
			return err
		}
	}
	for _, f := range []struct{ name, text string }{
		{"sums", k.sums.String()}, {"check", k.check.String()}, {"names", k.names.String()},
		{"apply", code(k.p.steps(k.plan, k.far))},
	} {
		h := &tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.text)), Format: tar.FormatGNU, ModTime: time.Unix(1, 0)}
		if err := k.w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.WriteString(k.w, f.text); err != nil {
			return err
		}
	}
	if err := k.w.Close(); err != nil {
		return err
	}
	return out.Flush()
}

func (k *pack) entry(ch *change) error {
	e := ch.Entry
	h := &tar.Header{Name: "t/" + e.Path, Mode: int64(e.Mode), ModTime: time.Unix(e.ModTime, 0), Format: tar.FormatGNU}
	if e.Nanos != 0 && (k.far.tar == "gnu" || k.far.tar == "bsd") { // busybox takes no long names that way
		h.ModTime, h.Format = e.modified(), tar.FormatPAX
	}
	if k.far.uid == 0 {
		h.Uname, h.Gname = k.far.owner(e.Owner), k.far.group(e.Group)
	}
	switch {
	case e.Kind == Folder:
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, h.Name+"/", h.Mode|0o700
	case e.Kind == Link:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Target
	case e.Same != "" && k.inTar[e.Same]:
		h.Typeflag, h.Linkname = tar.TypeLink, "t/"+e.Same
	default:
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	}
	if err := k.w.WriteHeader(h); err != nil {
		return fmt.Errorf("pack %s: %w", e.Path, err)
	}
	if h.Typeflag == tar.TypeReg {
		t := &ticking{w: k.w, tick: k.tick, crc: k.verify == "cksum"}
		sum, err := k.p.send(t, e, k.buf)
		if err != nil {
			return err
		}
		k.inTar[e.Path] = true
		switch k.verify {
		case "":
		case "cksum":
			k.names.WriteString("t/" + e.Path + "\x00")
			fmt.Fprintf(&k.sums, "%d %d t/%s\n", t.sum.value(), e.Size, e.Path)
		default:
			k.sum(e.Path, sum)
		}
	}
	k.tick(0, 1)
	return nil
}

// sum has the host compare the digest of a file.
func (k *pack) sum(name string, sum digest) {
	text := hex.EncodeToString(sum[:])
	if awkward(name) {
		fmt.Fprintf(&k.check, "v %s %s\n", text, tasks.Quote("t/"+name))
		return
	}
	if k.verify == "sha256" {
		k.names.WriteString("t/" + name + "\x00")
		k.sums.WriteString(text + " t/" + name + "\n")
		return
	}
	k.sums.WriteString(text + "  t/" + name + "\n")
}

// ticking tells how many bytes were written.
type ticking struct {
	w    io.Writer
	tick func(int64, int)
	crc  bool
	sum  cksum
}

func (t *ticking) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	if t.crc {
		t.sum.add(p[:n])
	}
	t.tick(int64(n), 0)
	return n, err
}

// owner gives the name that an owner has on the host: root for one that there
// is not.
func (o *outlook) owner(name string) string { return orRoot(o.users, name) }

func (o *outlook) group(name string) string { return orRoot(o.groups, name) }

func orRoot(known map[string]bool, name string) string {
	if known[name] {
		return name
	}
	return "root"
}
