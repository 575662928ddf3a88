package hostkeys

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Removed is a line that was taken out of a known_hosts file, or would be.
type Removed struct {
	Addrs       []string // those asked for that the line means
	File        string
	Line        int    // from 1, before the removal
	Type        string // of the key, as the line has it
	Fingerprint string // "SHA256:...", empty where the key makes no sense
	Others      bool   // the line may mean other hosts than those asked for
}

// Remove takes out of a file the lines that mean one of addrs, hashed names and
// patterns too, and leaves all others as they are: lines with a marker, comments,
// and what makes no sense. It is what `ssh-keygen -R` does for one address. The
// file before stays as FILE.old; the new one takes its place at once, with its
// mode and owner, under the lock that Policy takes. Where no line means a host,
// or dry is set, nothing is written. A file that does not exist is as good as empty.
func Remove(file string, addrs []string, dry bool) ([]Removed, error) {
	if dry {
		text, _, err := readFile(file)
		if err != nil {
			return nil, err
		}
		_, gone := without(file, text, addrs)
		return gone, nil
	}
	// A link stays: what it points to is replaced.
	path, err := filepath.EvalSymlinks(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := openLocked(path, lockLimit)
	if err != nil {
		return nil, err
	}
	defer f.Close() // and unlock
	text, info, err := readFrom(f, 0)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "rewrite", Path: file, Err: errors.New("not a regular file")}
	}
	rest, gone := without(file, text, addrs)
	if len(gone) == 0 {
		return nil, nil
	}
	if err := replace(path, info, rest); err != nil {
		return nil, err
	}
	return gone, nil
}

// without gives what is left of a file's text, and what is not.
func without(file, text string, addrs []string) (rest []byte, gone []Removed) {
	asked := newAsked(addrs)
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		hosts, key, ok := removable(line)
		if ok {
			if addrs, others := asked.match(hosts); len(addrs) > 0 {
				kind, print := describe(key)
				gone = append(gone, Removed{Addrs: addrs, File: file, Line: n, Type: kind, Fingerprint: print, Others: others})
				continue
			}
		}
		rest = append(rest, line...)
		rest = append(rest, '\n')
	}
	return rest, gone
}

// removable splits a line that names hosts, without a marker.
func removable(line string) (hosts, key string, ok bool) {
	line = skipSpace(line)
	if line == "" || line[0] == '#' || line[0] == '@' {
		return "", "", false
	}
	hosts, key = nextField(line)
	kind, blob := nextField(key)
	if !isKind(kind) || blob == "" || blob[0] == '#' {
		return "", "", false
	}
	return hosts, key, true
}

// isKind says whether a word is a type of key that a line may have.
func isKind(word string) bool {
	return isUsable(word) || word == keyDSA || strings.HasPrefix(word, "sk-") || strings.HasPrefix(word, "ssh-mldsa-")
}

// asked are the names to look for.
type asked struct {
	names []string // as known_hosts has them
	addrs []string
	at    map[string]int // in names
}

func newAsked(addrs []string) *asked {
	a := &asked{addrs: addrs, at: make(map[string]int, len(addrs))}
	for i, addr := range addrs {
		name, _ := lineName(addr)
		a.names = append(a.names, name)
		if _, seen := a.at[name]; !seen {
			a.at[name] = i
		}
	}
	return a
}

// match gives those of the hosts that a line's names mean, and says whether
// others may be meant too.
func (a *asked) match(hosts string) (addrs []string, others bool) {
	switch {
	case isHashed(hosts):
		h, err := parseHashed(hosts)
		for i := 0; err == nil && i < len(a.names); i++ {
			if h.means(a.names[i]) {
				return a.addrs[i : i+1], false
			}
		}
	case isPattern(hosts):
		for i, name := range a.names {
			if matchPatterns(hosts, name) {
				addrs = append(addrs, a.addrs[i])
			}
		}
		return addrs, true
	default:
		for name := range strings.SplitSeq(hosts, ",") {
			if i, ok := a.at[strings.ToLower(name)]; ok {
				addrs = append(addrs, a.addrs[i])
			} else {
				others = true
			}
		}
	}
	return addrs, others
}

// describe gives a key's type and fingerprint, as far as they can be had.
func describe(key string) (kind, print string) {
	l, blob, err := parseLine("* "+key, nil)
	if err != nil {
		kind, _ = nextField(key)
		return clip(kind), ""
	}
	return l.kind, fingerprint(blob)
}

// replace puts text in the place of the file at path, which info describes, and
// keeps the file before as PATH.old.
func replace(path string, info fs.FileInfo, text []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if err := sameOwner(tmp, info); err != nil {
		return err
	}
	if err := tmp.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	if _, err := io.Copy(tmp, bytes.NewReader(text)); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := keepOld(path); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	syncDir(dir)
	return nil
}

// sameOwner gives f the owner and group of the file that it stands in for.
func sameOwner(f *os.File, info fs.FileInfo) error {
	want, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if have, ok := now.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
		return fmt.Errorf("keep the owner of the file: %w", err)
	}
	return nil
}

// keepOld makes PATH.old another name of the file at path.
func keepOld(path string) error {
	old := path + ".old"
	if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Link(path, old)
}

// fingerprint is that of a key in its wire form, as ssh-keygen -l prints it.
func fingerprint(blob []byte) string {
	sum := sha256.Sum256(blob)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}
