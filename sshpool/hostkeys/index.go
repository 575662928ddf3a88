package hostkeys

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// Bounds for the size of a known_hosts file, and for what is read from a pipe
// or device, in bytes.
const (
	maxFile = 1 << 30
	maxPipe = 16 << 20
)

// Entry is one line of a known_hosts file that means a host.
type Entry struct {
	Key    ssh.PublicKey
	File   string
	Line   int // from 1; 0 for a key accepted in this run that could not be written
	Marker Marker
}

// Place is "FILE:LINE".
func (e Entry) Place() string {
	if e.Line == 0 {
		return "accepted earlier in this run"
	}
	return fmt.Sprintf("%s:%d", e.File, e.Line)
}

// Index holds the lines of known_hosts files for quick answers. It is safe for
// use by many goroutines at once.
//
// Costs, with n hashed lines: to find a known key is one HMAC (SHA-1, about
// 0.25 µs) for each hashed line with that same key, so Policy.Check of a known
// host takes microseconds at any n. Algorithms begins where the last search
// ended and stops at the first line that means the host: microseconds for hosts
// in about the order of the file, else up to n HMACs. Lookup, and the refusal
// or first acceptance of a host that is not known, or known without its port
// only, need all n (25 ms at 100,000), once for each name. Names that are not
// hashed cost a map access, and each line with a wildcard or negation a match.
type Index struct {
	mu       sync.RWMutex
	files    []file
	lines    []line
	plain    map[string]int32 // lower-case name: first of its chain in names, plus 1
	names    []nameLink
	patterns []int32 // lines with wildcards or negation, and hashed ones with a marker
	hashed   []hashed
	keys     map[uint64]int32 // sum of a key's wire form: its first line, see line.same
	seed     maphash.Seed
	problems Problems
	pinned   int // the one in files for lines that stand in no file, plus 1
	search   search
}

// file is one file as it was read. A file that was replaced since stays as gone.
type file struct {
	name  string
	info  fs.FileInfo // nil if there was none
	size  int64       // bytes read
	lines int32
	open  bool // the last line has no end
	gone  bool
}

// nameLink is one mention of a plain name.
type nameLink struct{ line, next int32 }

// Load reads known_hosts files in their order of precedence. A file that does
// not exist is as good as empty; one that cannot be read is an error. Lines
// that make no sense are skipped, see Problems.
func Load(files ...string) (*Index, error) {
	x := newIndex()
	for _, name := range files {
		text, info, err := readFile(name)
		if err != nil {
			return nil, err
		}
		x.addFile(name, info, text)
	}
	return x, nil
}

func newIndex() *Index {
	return &Index{
		plain: make(map[string]int32),
		keys:  make(map[uint64]int32),
		seed:  maphash.MakeSeed(),
	}
}

// readFile gives a file's text, and nil info if there is no such file.
func readFile(name string) (string, fs.FileInfo, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	return readFrom(f, 0)
}

// readFrom reads an open file from an offset to its end.
func readFrom(f *os.File, offset int64) (string, fs.FileInfo, error) {
	info, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	limit := int64(maxPipe)
	if info.Mode().IsRegular() {
		limit = maxFile
		if _, err := f.Seek(offset, io.SeekStart); err != nil {
			return "", nil, err
		}
	}
	var text strings.Builder
	text.Grow(int(min(max(info.Size()-offset, 0), limit)))
	n, err := io.Copy(&text, io.LimitReader(f, limit+1))
	if err != nil {
		return "", nil, err
	}
	if n > limit {
		return "", nil, &fs.PathError{Op: "read", Path: f.Name(), Err: fmt.Errorf("more than %d MiB", limit>>20)}
	}
	return text.String(), info, nil
}

// addFile takes in a file as it was read from its start.
func (x *Index) addFile(name string, info fs.FileInfo, text string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.files = append(x.files, file{name: name, info: info})
	x.addText(int32(len(x.files)-1), text)
}

// addText takes in what follows the part of a file that was read before.
// The caller holds mu.
func (x *Index) addText(in int32, text string) {
	f := &x.files[in]
	f.size += int64(len(text))
	if f.open && text != "" {
		// The part before ended within a line: what is left of it says nothing new.
		_, text, _ = strings.Cut(text, "\n")
		f.open = false
	}
	x.lines = slices.Grow(x.lines, strings.Count(text, "\n")+1)
	var space [1024]byte
	buf := space[:]
	for text != "" {
		one, rest, ended := strings.Cut(text, "\n")
		text = rest
		f.open = !ended
		f.lines++
		l, blob, err := parseLine(one, buf)
		if err == nil {
			l.file, l.num = in, f.lines
			err = x.addLine(l, blob)
		}
		if err != nil && err != errBlank {
			x.problems.add(Problem{File: f.name, Line: int(f.lines), Text: err.Error()})
		}
	}
}

// addLine puts a line where it will be found. The caller holds mu.
func (x *Index) addLine(l line, blob []byte) error {
	n := int32(len(x.lines))
	switch {
	case isHashed(l.hosts):
		h, err := parseHashed(l.hosts)
		if err != nil {
			return err
		}
		h.line = n
		if l.marker == NoMarker {
			x.hashed = append(x.hashed, h)
		} else {
			x.patterns = append(x.patterns, n)
		}
	case isPattern(l.hosts):
		x.patterns = append(x.patterns, n)
	default:
		for name := range strings.SplitSeq(l.hosts, ",") {
			name = strings.ToLower(name)
			x.names = append(x.names, nameLink{line: n, next: x.plain[name]})
			x.plain[name] = int32(len(x.names))
		}
	}
	sum := maphash.Bytes(x.seed, blob)
	if same, ok := x.keys[sum]; ok {
		l.same = same
	} else {
		l.same = -1
	}
	x.keys[sum] = n
	x.lines = append(x.lines, l)
	return nil
}

// Lookup gives all entries that mean addr, in the order of files and lines:
// plain and hashed names, wildcards without a negation that matches, and
// entries with a marker. The result is what `ssh-keygen -F` finds.
func (x *Index) Lookup(addr string) []Entry {
	name, _ := lineName(addr)
	return x.entries(x.find(name))
}

// find gives the lines that mean name, in order.
func (x *Index) find(name string) []int32 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.findAll(name)
}

// findAll is find for a caller that holds mu.
func (x *Index) findAll(name string) []int32 {
	found := x.findNamed(name)
	for _, n := range x.searchAll(name) {
		if x.live(n) {
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// findNamed gives the lines that mean name without hashing, and hashed ones
// with a marker. The caller holds mu.
func (x *Index) findNamed(name string) []int32 {
	var found []int32
	for i := x.plain[name]; i != 0; i = x.names[i-1].next {
		if n := x.names[i-1].line; x.live(n) {
			found = append(found, n)
		}
	}
	for _, n := range x.patterns {
		if x.live(n) && matchNames(x.lines[n].hosts, name) {
			found = append(found, n)
		}
	}
	return found
}

func (x *Index) live(n int32) bool { return !x.files[x.lines[n].file].gone }

// findKey gives the lines that hold a key, given in its wire form. The caller
// holds mu.
func (x *Index) findKey(blob []byte) []int32 {
	var found []int32
	var space [1024]byte
	n, ok := x.keys[maphash.Bytes(x.seed, blob)]
	for ; ok && n >= 0; n = x.lines[n].same {
		l := &x.lines[n]
		got, err := decodeKey(l.kind, l.key, space[:])
		if err == nil && string(got) == string(blob) && x.live(n) {
			found = append(found, n)
		}
	}
	return found
}

// entries parses the keys of lines. Lines whose key turns out to be impossible
// (a point off its curve) are left out: no host can prove to have such a key.
func (x *Index) entries(lines []int32) []Entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found []Entry
	for _, n := range lines {
		l := &x.lines[n]
		blob, err := decodeKey(l.kind, l.key, nil)
		if err != nil {
			continue
		}
		key, err := ssh.ParsePublicKey(blob)
		if err != nil {
			continue
		}
		found = append(found, Entry{Key: key, File: x.files[l.file].name, Line: int(l.num), Marker: l.marker})
	}
	return found
}

// Len is the number of good lines.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.lines)
}

// Problem is a line that was skipped.
type Problem struct {
	File string
	Line int // from 1
	Text string
}

func (p Problem) String() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text) }

// Problems are the lines that were skipped in loading, folded to one warning.
type Problems struct {
	Count int
	First []Problem // at most 100
}

func (p *Problems) add(one Problem) {
	p.Count++
	if len(p.First) < 100 {
		p.First = append(p.First, one)
	}
}

func (p *Problems) Error() string {
	if p.Count == 1 {
		return fmt.Sprintf("known_hosts: 1 bad line: %s", p.First[0])
	}
	return fmt.Sprintf("known_hosts: %d bad lines, first at %s", p.Count, p.First[0])
}

// Problems gives the lines that were skipped as one *Problems, nil if none.
func (x *Index) Problems() error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.problems.Count == 0 {
		return nil
	}
	p := x.problems
	p.First = slices.Clone(p.First)
	return &p
}
