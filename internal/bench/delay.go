package main

import (
	"net"
	"time"
)

// delay listens on loopback and carries connections to addr, each byte held
// back for as long, in both directions. It ends with the listener.
func delay(addr string, oneWay time.Duration) (net.Listener, error) {
	l, err := net.Listen("tcp4", "127.92.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp4", addr)
			if err != nil {
				near.Close()
				continue
			}
			go late(far, near, oneWay)
			go late(near, far, oneWay)
		}
	}()
	return l, nil
}

// late copies from one to the other, late. What is under way is bounded by the
// windows of SSH above it.
func late(to, from net.Conn, by time.Duration) {
	type piece struct {
		data []byte
		due  time.Time
	}
	pieces := make(chan piece, 1<<16)
	go func() {
		defer close(pieces)
		for {
			buf := make([]byte, 64<<10)
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{buf[:n], time.Now().Add(by)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	to.Close()
	for range pieces {
	}
}
