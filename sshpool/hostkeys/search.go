package hostkeys

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// maxSearched bounds how many names' results are kept.
const maxSearched = 1 << 18

// neighbours is how many lines around a found one are looked at for the same
// host's other keys, which ssh writes next to each other.
const neighbours = 8

// search remembers what was found among hashed lines, and where.
type search struct {
	mu     sync.Mutex
	found  map[string]result
	cursor atomic.Int64 // in Index.hashed, where the last search ended
}

// result is what is known of one name: its lines among the first upTo hashed
// lines. A partial one holds some of them.
type result struct {
	lines   []int32
	upTo    int
	partial bool
}

// searchAll gives all hashed lines that mean name. The caller holds Index.mu.
func (x *Index) searchAll(name string) []int32 {
	if len(x.hashed) == 0 {
		return nil
	}
	r := x.search.get(name)
	if r.partial {
		r = result{}
	}
	if r.upTo == len(x.hashed) {
		return r.lines
	}
	lines := r.lines[:len(r.lines):len(r.lines)]
	for i := r.upTo; i < len(x.hashed); i++ {
		if x.hashed[i].means(name) {
			lines = append(lines, x.hashed[i].line)
		}
	}
	x.search.put(name, result{lines: lines, upTo: len(x.hashed)})
	return lines
}

// searchSome gives some of the hashed lines that mean name, none only if there
// is none. It looks around the place where the last name was found, outward,
// and stops soon after the first hit. The caller holds Index.mu.
func (x *Index) searchSome(name string) []int32 {
	total := len(x.hashed)
	if total == 0 {
		return nil
	}
	if r := x.search.get(name); len(r.lines) > 0 || r.upTo > 0 {
		if r.partial {
			return r.lines
		}
		return x.searchAll(name)
	}
	at := x.searchFrom(int(x.search.cursor.Load()), name)
	if at < 0 {
		x.search.put(name, result{upTo: total})
		return nil
	}
	x.search.cursor.Store(int64(at))
	var lines []int32
	for i := max(at-neighbours, 0); i < min(at+neighbours+1, total); i++ {
		if i == at || x.hashed[i].means(name) {
			lines = append(lines, x.hashed[i].line)
		}
	}
	x.search.put(name, result{lines: lines, upTo: total, partial: true})
	return lines
}

// searchFrom gives the index of a live hashed line for name, the nearest to
// start, or -1. The caller holds Index.mu.
func (x *Index) searchFrom(start int, name string) int {
	total := len(x.hashed)
	start = min(start, total-1)
	for d := 0; d < total; d++ {
		if i := start + d; i < total && x.hashed[i].means(name) && x.live(x.hashed[i].line) {
			return i
		}
		if i := start - d; d > 0 && i >= 0 && x.hashed[i].means(name) && x.live(x.hashed[i].line) {
			return i
		}
	}
	return -1
}

func (s *search) get(name string) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found[name]
}

func (s *search) put(name string, r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil || len(s.found) >= maxSearched {
		s.found = make(map[string]result)
	}
	s.found[name] = r
}

// forget drops all results, for when lines go away.
func (s *search) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = nil
}

// Prepare searches the hashed lines for the given addresses on all processors,
// so that later calls for them cost nothing. It is worth its while only before
// many calls of Lookup; Algorithms and Check do without.
func (x *Index) Prepare(addrs []string) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(addrs)) {
		done.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(addrs)) {
					return
				}
				name, _ := lineName(addrs[i])
				x.find(name)
			}
		})
	}
	done.Wait()
}
