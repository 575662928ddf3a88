package facts

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"fleet/inventory"
)

const (
	shards    = 64                  // files, so that one host's facts are not in the way of all others
	keepFor   = 90 * 24 * time.Hour // facts that nobody asked for again are dropped
	lockLimit = 10 * time.Second    // for another process that writes
	maxLine   = 256 << 10           // bytes of one host's facts
)

// key is what a host is known by in the store: web01 of one inventory and of
// another are two hosts where they have other addresses.
type key struct {
	Host    string `json:"host"`
	Address string `json:"address"`
	Port    int    `json:"port"` // 0: the inventory does not say
}

func keyOf(h *inventory.Host) key { return key{h.Name, h.Address, h.Port} }

func (k key) shard() int {
	f := fnv.New32a()
	f.Write([]byte(k.Host)) //nolint:errcheck // cannot fail
	return int(f.Sum32() % shards)
}

// entry is a line of a file.
type entry struct {
	key
	Facts *Facts `json:"facts"`
}

// Store keeps facts in files between runs, one JSON object a line. The folder
// and the files are the user's alone. It is safe for concurrent use, also by
// several processes.
type Store struct {
	dir string
	mu  sync.Mutex
	got [shards]map[key]*Facts // as far as they were read
}

// Open gives the store in the folder, which Put makes if need be.
func Open(dir string) *Store { return &Store{dir: dir} }

// Get gives the facts of the host, nil if there are none.
func (s *Store) Get(h *inventory.Host) (*Facts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := keyOf(h)
	at := k.shard()
	if s.got[at] == nil && s.dir == "" {
		return nil, nil
	}
	if s.got[at] == nil {
		all, err := readShard(s.file(at))
		if err != nil {
			return nil, fmt.Errorf("read facts: %w", err)
		}
		s.got[at] = all
	}
	return s.got[at][k], nil
}

func (s *Store) file(shard int) string { return filepath.Join(s.dir, fmt.Sprintf("%02d.jsonl", shard)) }

// Put adds the facts of hosts, in the place of older ones.
func (s *Store) Put(hosts []*inventory.Host, found map[string]*Facts) error {
	if s.dir == "" {
		return errors.New("keep facts: there is no folder for them: neither $XDG_STATE_HOME nor $HOME is set")
	}
	var news [shards]map[key]*Facts
	for _, h := range hosts {
		f := found[h.Name]
		if f == nil {
			continue
		}
		k := keyOf(h)
		if news[k.shard()] == nil {
			news[k.shard()] = make(map[key]*Facts)
		}
		news[k.shard()][k] = f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, add := range news {
		if add == nil {
			continue
		}
		all, err := s.merge(s.file(at), add)
		if err != nil {
			return fmt.Errorf("keep facts: %w", err)
		}
		s.got[at] = all
	}
	return nil
}

// merge adds to a file what is newer than what it has, under its lock. A reader
// sees the old file or the new one.
func (s *Store) merge(file string, add map[key]*Facts) (map[key]*Facts, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(file + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	all, err := readShard(file)
	if err != nil {
		return nil, err
	}
	newest := time.Time{}
	for k, f := range add {
		if old := all[k]; old == nil || !old.At.After(f.At) {
			all[k] = f
		}
		if f.At.After(newest) {
			newest = f.At
		}
	}
	maps.DeleteFunc(all, func(_ key, f *Facts) bool { return newest.Sub(f.At) > keepFor })
	return all, writeShard(file, all)
}

// lock takes the lock that goes with a file; a lock of its own, as the file is
// replaced.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	deadline, pause := time.Now().Add(lockLimit), time.Millisecond
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
		case time.Now().Before(deadline):
			time.Sleep(pause)
			pause = min(2*pause, 50*time.Millisecond)
			continue
		default:
			err = errors.New("held by another process")
		}
		f.Close()
		return nil, &fs.PathError{Op: "lock", Path: name, Err: err}
	}
}

// readShard reads a file; none is an empty one. Lines that cannot be read are as
// if they were not there: it is a cache.
func readShard(file string) (map[key]*Facts, error) {
	all := make(map[key]*Facts)
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		var e entry
		if len(line) > 0 && json.Unmarshal(line, &e) == nil && e.Facts != nil {
			all[e.key] = e.Facts
		}
		if err != nil {
			break // the end, or a disk that gives no more
		}
	}
	return all, nil
}

// writeShard puts a new file in the place of the old.
func writeShard(file string, all map[key]*Facts) (err error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	keys := slices.SortedFunc(maps.Keys(all), func(a, b key) int {
		return slices.Compare([]string{a.Host, a.Address, fmt.Sprint(a.Port)}, []string{b.Host, b.Address, fmt.Sprint(b.Port)})
	})
	for _, k := range keys {
		if err := enc.Encode(entry{k, all[k]}); err != nil {
			return err
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(b.Bytes())
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
