package transfer

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// item is one entry of a host that is wanted here.
type item struct {
	*Entry
	here string // its name below the destination of the host
	same *item  // the item of which it is another name
	sum  digest // of what came
	came bool   // its content
	kept bool   // it is here already, unchanged
}

// refusal is an entry of a host that is not taken.
type refusal struct {
	name string // as the host has it
	why  string
}

// Why entries are refused. Each is a plural, for counting.
const (
	refusedName    = "names that are not safe"
	refusedLong    = "names that are too long"
	refusedSpecial = "special files"
	refusedSetID   = "setuid or setgid files"
	refusedLink    = "links that lead out of the destination"
	refusedInside  = "entries below what is no folder"
	refusedHere    = "entries in the way of which stands something else here"
)

// Limits of names, as file systems have them (POSIX.1-2017, NAME_MAX; PATH_MAX
// less what the destination takes).
const (
	maxName = 255
	maxPath = 3000
)

// sift decides what of a host's entries is wanted, and what is refused.
type sift struct {
	links   Links
	filter  *Filter
	pattern string // what of all is meant; empty for all
	roots   []string
	prefix  string // where it goes, below the destination of the host
	strip   string // a folder that the filter's paths do not name

	items   []*item
	refused []refusal
	folders map[string]bool // accepted
	byID    map[string]*item
}

// take sifts all entries. Parents come before what is in them.
func (s *sift) take(there map[string]*Entry) {
	s.folders, s.byID = map[string]bool{}, map[string]*item{}
	list := make([]*Entry, 0, len(there))
	for _, e := range there {
		list = append(list, e)
	}
	need := map[string]bool{} // folders that hold something, where a pattern is
	for _, e := range sortEntries(list) {
		s.entry(e)
	}
	if s.pattern == "" && !s.filter.deep() {
		return
	}
	for _, it := range slices.Backward(s.items) {
		if it.Kind == Folder && !s.meant(it.Path, true) && !need[it.Path] {
			it.here = "" // it leads to nothing that is meant
			continue
		}
		need[parent(it.Path)] = true
	}
	s.items = slices.DeleteFunc(s.items, func(it *item) bool { return it.here == "" })
}

// meant says that the pattern means the entry, or a folder that holds it, and
// the filter does not leave it out.
func (s *sift) meant(name string, folder bool) bool {
	if s.filter.out(s.inside(name), folder) {
		return false
	}
	if s.pattern == "" {
		return true
	}
	for d := name; d != "."; d = parent(d) {
		if ok, _ := doublestar.Match(s.pattern, d); ok {
			return true
		}
	}
	return false
}

// inside is a name as the filter knows it.
func (s *sift) inside(name string) string {
	if s.strip != "." && below(name, s.strip) {
		return name[len(s.strip)+1:]
	}
	return name
}

func (s *sift) entry(e *Entry) {
	if why := badName(e.Path); why != "" {
		s.refuse(e, why)
		return
	}
	root := slices.Contains(s.roots, e.Path)
	if !root && !s.folders[parent(e.Path)] {
		if !s.leftOut(e.Path) {
			s.refuse(e, refusedInside)
		}
		return
	}
	if !root && s.filter.out(s.inside(e.Path), e.Kind == Folder) && !(e.Kind == Folder && s.filter.deep()) {
		return
	}
	if e.Kind != Folder && !s.meant(e.Path, false) {
		return
	}
	if why := s.badKind(e); why != "" {
		s.refuse(e, why)
		return
	}
	if e.Kind == Link && s.links == SkipLinks {
		return
	}
	it := &item{Entry: e, here: path.Join(s.prefix, safePath(e.Path))}
	if e.Kind == Folder {
		s.folders[e.Path] = true
	}
	if e.Kind == File && e.links > 1 {
		if first := s.byID[e.id]; first != nil {
			it.same = first
		} else {
			s.byID[e.id] = it
		}
	}
	s.items = append(s.items, it)
}

// leftOut says that a folder that holds the entry was left out, by the filter.
func (s *sift) leftOut(name string) bool {
	for d := parent(name); d != "."; d = parent(d) {
		if s.filter.out(s.inside(d), true) {
			return true
		}
	}
	return false
}

func (s *sift) refuse(e *Entry, why string) {
	if e.Kind == Folder || s.pattern == "" || why == refusedName {
		s.refused = append(s.refused, refusal{e.Path, why})
		return
	}
	if s.meant(e.Path, false) {
		s.refused = append(s.refused, refusal{e.Path, why})
	}
}

// badName says why a name cannot be taken; empty if it can. A name comes from
// the host, below the folder that was asked for.
func badName(name string) string {
	if name == "." {
		return ""
	}
	if name == "" || name[0] == '/' || len(name) > maxPath || strings.IndexByte(name, 0) >= 0 {
		if len(name) > maxPath {
			return refusedLong
		}
		return refusedName
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return refusedName
		case len(SafeName(part)) > maxName:
			return refusedLong
		}
	}
	return ""
}

func (s *sift) badKind(e *Entry) string {
	switch {
	case e.Kind == Other:
		return refusedSpecial
	case e.Kind == File && e.Mode&0o6000 != 0:
		return refusedSetID
	case e.Kind == Link && s.links != SkipLinks && !contained(e.Path, e.Target):
		return refusedLink
	}
	return ""
}

// contained says that a link leads to what lies in the tree, whatever else links
// there do. So ".." may only stand at its beginning: behind a name, which may
// itself be a link, nobody could tell where it leads.
func contained(name, target string) bool {
	if target == "" || target[0] == '/' || len(target) > maxPath || strings.IndexByte(target, 0) >= 0 {
		return false
	}
	up, named := 0, false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if up++; named {
				return false
			}
		default:
			named = true
		}
	}
	return up <= strings.Count(name, "/")
}

// safePath makes each part of a path safe.
func safePath(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = SafeName(p)
	}
	return strings.Join(parts, "/")
}

// sumOfRefusals is how many were refused, and why, the same for hosts that
// offered the same.
func sumOfRefusals(list []refusal) string {
	counts := map[string]int{}
	var whys []string
	for _, r := range list {
		if counts[r.why]++; counts[r.why] == 1 {
			whys = append(whys, r.why)
		}
	}
	slices.Sort(whys)
	for i, why := range whys {
		whys[i] = fmt.Sprintf("%d %s", counts[why], why)
	}
	return "refused: " + strings.Join(whys, ", ")
}
