package transfer

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"strings"
)

// sumsScript computes digests of the files that its input names. $2 is their
// folder, $3 the tool.
const sumsScript = `case $2 in /*) b=$2 ;; *) b=./$2 ;; esac
cd "$b" || exit 3
case $3 in shasum) xargs -0 shasum -a 256 -- ;; sha256) xargs -0 sha256 -r -- ;; *) xargs -0 sha256sum -- ;; esac
exit 0
`

// digests computes digests on the host. Names of which the tool does not give
// any, for whatever reason, are not in the result.
func (f *far) digests(ctx context.Context, base, tool string, names []string) (map[string]digest, error) {
	if f.sftp != nil {
		return f.digestsBySFTP(ctx, base, names)
	}
	var list strings.Builder
	for _, n := range names {
		if !awkward(n) {
			list.WriteString("./" + n + "\x00")
		}
	}
	sums := make(map[string]digest, len(names))
	if tool != "sha256sum" && tool != "shasum" && tool != "sha256" || list.Len() == 0 {
		return sums, nil
	}
	p := &sumsParser{sums: sums, most: len(names)}
	_, err := f.script(ctx, nonce(), sumsScript, []string{base, tool}, strings.NewReader(list.String()), p)
	return sums, err
}

// awkward says that a name cannot stand in a line of what digests are told in.
func awkward(name string) bool {
	return strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }) >= 0
}

// sumsParser reads lines of a digest, one or two characters, and a name.
type sumsParser struct {
	sums map[string]digest
	most int // names that were asked for
	rest []byte
}

var _ io.Writer = (*sumsParser)(nil)

func (p *sumsParser) Write(b []byte) (int, error) {
	p.rest = append(p.rest, b...)
	for {
		line, rest, ok := bytes.Cut(p.rest, []byte("\n"))
		if !ok {
			break
		}
		p.rest = rest
		p.line(line)
	}
	if len(p.rest) > maxRecord {
		p.rest = nil
	}
	return len(b), nil
}

func (p *sumsParser) line(line []byte) {
	const digits = 2 * len(digest{})
	var sum digest
	if len(line) < digits+3 {
		return
	}
	if _, err := hex.Decode(sum[:], line[:digits]); err != nil {
		return
	}
	name := strings.TrimLeft(string(line[digits:digits+2]), " *") + string(line[digits+2:])
	if len(p.sums) < p.most { // one that says more says nothing of what it was asked
		p.sums[strings.TrimPrefix(name, "./")] = sum
	}
}
