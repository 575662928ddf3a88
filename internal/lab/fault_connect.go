package lab

import (
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// connectFaults go wrong before the login: TCP, version line, key exchange.
func connectFaults() []fault {
	return []fault{
		{"refuse", "", "nothing listens on the port: connection refused",
			func(b *behavior, _ value) { b.noListener = true }},
		{"reset", "", "the connection is accepted and reset (RST)",
			func(b *behavior, _ value) { b.onAccept(func(w *wire, _ int64) bool { w.reset(); return false }) }},
		{"eof", "", "the connection is accepted and closed without a byte",
			func(b *behavior, _ value) { b.onAccept(func(w *wire, _ int64) bool { return false }) }},
		{"hang", "", "the connection is accepted, and never a byte comes",
			func(b *behavior, _ value) { b.onAccept(func(w *wire, _ int64) bool { w.hold(); return false }) }},
		{"slow-banner", "D", "the version line comes after D",
			func(b *behavior, v value) {
				d := v.duration()
				b.onAccept(func(w *wire, _ int64) bool { return w.pause(d) })
			}},
		{"preversion-flood", "", "lines without end before the version line",
			func(b *behavior, _ value) { b.onAccept(floodLines) }},
		{"throttle", "", `every connection is closed with "Exceeded MaxStartups"`,
			func(b *behavior, _ value) { b.onAccept(sayAndClose("Exceeded MaxStartups\r\n")) }},
		{"penalty", "", `every connection is closed with "Not allowed at this time"`,
			func(b *behavior, _ value) { b.onAccept(sayAndClose("Not allowed at this time\r\n")) }},
		{"throttle-n", "K", "the first K connections are throttled, all others are fine",
			func(b *behavior, v value) {
				k, refuse := v.count(), sayAndClose("Exceeded MaxStartups\r\n")
				b.onAccept(func(w *wire, n int64) bool { return n > k || refuse(w, n) })
			}},
		{"reset-n", "K", "the first K connections are reset, all others are fine",
			func(b *behavior, v value) {
				k := v.count()
				b.onAccept(func(w *wire, n int64) bool {
					if n <= k {
						w.reset()
					}
					return n > k
				})
			}},
		{"http", "", "a web server answers instead",
			func(b *behavior, _ value) {
				b.onAccept(sayAndClose("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request"))
			}},
		{"hang-kex", "", "silence after the version line",
			func(b *behavior, _ value) {
				b.onAccept(func(w *wire, _ int64) bool {
					io.WriteString(w, serverVersion+"\r\n")
					w.hold()
					return false
				})
			}},
		{"slow-kex", "D", "the key exchange starts D after the version line",
			func(b *behavior, v value) {
				d := v.duration()
				b.onAccept(func(w *wire, _ int64) bool {
					w.stall = d
					return true
				})
			}},
		{"badkex", "", "only key exchange algorithms that are given up for broken",
			func(b *behavior, _ value) {
				b.onConfig(func(_ *wire, c *ssh.ServerConfig) {
					c.KeyExchanges = []string{ssh.InsecureKeyExchangeDH1SHA1}
				})
			}},
		{"wrong-key", "", "the host key is not the one in known_hosts",
			func(b *behavior, _ value) { b.otherKey = true }},
		{"unknown-key", "", "the host key is not in known_hosts",
			func(b *behavior, _ value) { b.unlisted = true }},
	}
}

// sayAndClose answers every connection with a text and ends it.
func sayAndClose(text string) func(*wire, int64) bool {
	return func(w *wire, _ int64) bool {
		io.WriteString(w, text)
		w.cut()
		return false
	}
}

// floodLines writes until the peer has enough.
func floodLines(w *wire, _ int64) bool {
	var block []byte
	for i := range 200 {
		block = fmt.Appendf(block, "line %d before the version \x1b[31mwith colour\x1b[0m\r\n", i)
	}
	for {
		if _, err := w.Write(block); err != nil {
			return false
		}
	}
}
