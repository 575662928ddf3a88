package control

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"time"
)

// Feed sends values until it has no more, or ctx ends, as it does when whoever
// asked is gone. send waits for a slow reader, and fails when ctx ends.
type Feed func(ctx context.Context, send func(v any) error) error

// feed answers a request by a feed. It has no limit but the other side's patience.
func (s *Server) feed(conn net.Conn, feed Feed) {
	enc := json.NewEncoder(conn)
	if enc.Encode(answer{V: version}) != nil {
		return
	}
	conn.SetDeadline(time.Time{}) //nolint:errcheck // then reads and writes fail too
	ctx, cancel := context.WithCancel(s.closing)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // closed soon
	defer stop()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, conn) //nolint:errcheck // its end is what counts
		cancel()
	}()
	feed(ctx, enc.Encode) //nolint:errcheck // whoever asked is gone
	cancel()
	<-gone
}

// Stream is a feed, read. One goroutine reads it.
type Stream struct {
	conn net.Conn
	dec  *json.Decoder
}

// Follow asks whoever answers at path for a feed. ctx is for the asking only.
// Close it.
func Follow(ctx context.Context, path, what string) (*Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, r, err := ask(ctx, path, what)
	if err != nil {
		return nil, err
	}
	return &Stream{conn, json.NewDecoder(bufio.NewReader(r))}, nil
}

// Next reads the next value, or gives the error of a feed that has ended.
func (s *Stream) Next(v any) error { return s.dec.Decode(v) }

// Close ends the stream; a Next that waits fails.
func (s *Stream) Close() error { return s.conn.Close() }
