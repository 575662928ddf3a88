// Package control lets one process of fleet ask another to do something, by a
// socket in a folder that only their user can enter.
//
// A [Server] answers, [Ask] asks. A request is one line of JSON,
// {"v":1,"do":"stop"}, and so is the answer, {"v":1} or {"v":1,"error":"..."}.
// All is over within a few seconds, whatever the other side does.
//
// [Follow] asks for a [Feed] (feed.go): behind the answer lines come, one JSON
// value each, until either side ends it.
package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

const (
	version = 1
	// limit is how long a request and its answer may take.
	limit = 5 * time.Second
	// longest is how many bytes a request or an answer may have.
	longest = 64 << 10
)

type request struct {
	V  int    `json:"v"`
	Do string `json:"do"`
}

type answer struct {
	V     int    `json:"v"`
	Error string `json:"error,omitempty"`
}

// Server answers requests until it is closed.
type Server struct {
	listener net.Listener
	path     string
	do       func(what string) error
	feeds    map[string]Feed
	serving  sync.WaitGroup
	closing  context.Context // done when the server closes
	close    context.CancelFunc
}

// Listen answers requests on a new socket at path by do, which is called from
// one goroutine a request and must return soon, or by the feed of that name. The
// socket has mode 0600; the folder should let nobody else in, as it is so a moment
// after it is made.
func Listen(path string, do func(what string) error, feeds map[string]Feed) (*Server, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // its short name is gone by then
	s := &Server{listener: l, path: path, do: do, feeds: feeds}
	s.closing, s.close = context.WithCancel(context.Background())
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.serving.Go(s.accept)
	return s, nil
}

// Close removes the socket, ends feeds and waits for requests under way.
func (s *Server) Close() error {
	s.close()
	err := errors.Join(os.Remove(s.path), s.listener.Close())
	s.serving.Wait()
	return err
}

func (s *Server) accept() {
	const most, mostFeeds = 16, 64 // requests at once, and feeds, which last
	places, feeds := make(chan struct{}, most), make(chan struct{}, mostFeeds)
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of files, most likely
			time.Sleep(100 * time.Millisecond)
			continue
		}
		select {
		case places <- struct{}{}:
			s.serving.Go(func() {
				defer conn.Close()
				feed := s.serve(conn)
				<-places
				if feed == nil {
					return
				}
				select {
				case feeds <- struct{}{}:
					s.feed(conn, feed)
					<-feeds
				default:
					json.NewEncoder(conn).Encode(answer{V: version, Error: "too many follow it already"}) //nolint:errcheck // whoever asked is gone
				}
			})
		default:
			conn.Close()
		}
	}
}

// serve answers a request, or gives the feed that it is for.
func (s *Server) serve(conn net.Conn) Feed {
	conn.SetDeadline(time.Now().Add(limit)) //nolint:errcheck // then reads and writes fail too
	var req request
	if err := readLine(conn, &req); err != nil {
		return nil
	}
	a := answer{V: version}
	if feed := s.feeds[req.Do]; feed != nil && req.V == version {
		return feed
	}
	if req.V != version {
		a.Error = fmt.Sprintf("version %d of requests is not known", req.V)
	} else if err := s.do(req.Do); err != nil {
		a.Error = err.Error()
	}
	json.NewEncoder(conn).Encode(a) //nolint:errcheck // whoever asked is gone
	return nil
}

// Ask asks whoever answers at path to do something. The error is that of the
// answer, or says that there was none.
func Ask(ctx context.Context, path, what string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, _, err := ask(ctx, path, what)
	if err != nil {
		return err
	}
	return conn.Close()
}

// ask sends a request and gives the connection behind its answer. The reader
// holds what has come of the rest.
func ask(ctx context.Context, path, what string) (net.Conn, *bufio.Reader, error) {
	short, done, err := shorten(path)
	if err != nil {
		return nil, nil, err
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", short)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // closed soon
	defer stop()
	if err := json.NewEncoder(conn).Encode(request{version, what}); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	r := bufio.NewReaderSize(conn, longest)
	line, err := r.ReadSlice('\n')
	var a answer
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read the answer: %w", err), conn.Close())
	}
	if a.Error != "" {
		return nil, nil, errors.Join(errors.New(a.Error), conn.Close())
	}
	return conn, r, nil
}

func readLine(r io.Reader, v any) error {
	line, err := bufio.NewReader(io.LimitReader(r, longest)).ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// shorten gives a path that a socket's address has room for: it holds 104 bytes
// on some systems, 108 on Linux (unix(7)). done is to be called after its use.
func shorten(path string) (short string, done func(), err error) {
	const room = 100
	if len(path) <= room {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, fmt.Errorf("socket %s: its path is longer than %d bytes", path, room)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), func() { dir.Close() }, nil
}
