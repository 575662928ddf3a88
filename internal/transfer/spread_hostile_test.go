package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fleet/internal/sshtest"
	"fleet/sshpool"
)

// slowSSH is a host whose ssh sends a part of the file and no more.
func slowSSH(t *testing.T) []sshtest.Option {
	return program(t, "ssh", `[ "$1" = -V ] && exec /usr/bin/ssh -V
(head -c 3000000; exec sleep 1000) | /usr/bin/ssh "$@"
`)
}

// lands waits until a part of the file has come to a host.
func (h *spreadHost) lands(t *testing.T) {
	t.Helper()
	sshtest.Until(t, "a part of the file", func() bool {
		parts, _ := filepath.Glob(filepath.Join(h.dst, ".fleet-spread-*/part"))
		if len(parts) == 0 {
			return false
		}
		fi, err := os.Stat(parts[0])
		return err == nil && fi.Size() > 0
	})
}

// TestSpreadStopped stops a run in the middle of a copy, by its context and by the
// loss of all its connections, as when this machine goes down: everything is as it
// was before on the host that was served.
func TestSpreadStopped(t *testing.T) {
	for _, how := range []string{"stopped", "cut"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newSpreadHosts(t, slowSSH(t), nil)
			ctx, stop := context.WithCancel(testContext(t))
			defer stop()
			seed, h := s.hosts[0], s.hosts[1]
			end := stop
			if how == "cut" {
				end = s.cut()
			}
			var watching sync.WaitGroup
			s.push(ctx, &Push{Spread: &Spread{Seeds: 1, Fanout: 1, By: SpreadKey}}, func() {
				watching.Go(func() {
					h.lands(t)
					if bytes.Equal(h.authorizedKeys(t), h.keys) {
						t.Error("authorized_keys is as before while the copy runs")
					}
					end()
				})
			})
			watching.Wait()
			s.log()
			var e *sshpool.Error
			want := map[string]sshpool.Kind{"stopped": sshpool.KindCanceled, "cut": sshpool.KindConnLost}[how]
			if seed.err != nil || !errors.As(h.err, &e) || e.Kind != want {
				t.Errorf("errors %v and %v, want none and %s", seed.err, h.err, want)
			}
			sshtest.Until(t, "authorized_keys as before", func() bool { return bytes.Equal(h.authorizedKeys(t), h.keys) })
			sshtest.Until(t, "empty folder", func() bool {
				list, err := os.ReadDir(h.dst)
				return err == nil && len(list) == 0
			})
			s.clean(h, 0)
		})
	}
}

// TestSpreadStalled has a host that serves hang, or go down, in the middle: the
// other gets the file from here, and nothing of the first try is left.
func TestSpreadStalled(t *testing.T) {
	for _, how := range []string{"hangs", "goes down"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newSpreadHosts(t, slowSSH(t), nil)
			h := s.hosts[1]
			spread, want := &Spread{Seeds: 1, Fanout: 1, By: SpreadKey, stall: 3 * time.Second}, "nothing came from web01 for 3s"
			var watching sync.WaitGroup
			between := func() {}
			if how == "goes down" {
				spread.stall, want = time.Minute, "web01 cannot serve others: connection lost"
				between = func() {
					watching.Go(func() {
						h.lands(t)
						s.hosts[0].Stop()
					})
				}
			}
			s.push(testContext(t), &Push{Spread: spread}, between)
			watching.Wait()
			s.log()
			s.hosts = s.hosts[1:]
			s.settled()
			if h.err == nil && (h.did.From != "" || !strings.HasPrefix(h.did.Direct, want)) {
				t.Errorf("from %q, direct %q, want %q", h.did.From, h.did.Direct, want)
			}
		})
	}
}

// TestSpreadWaits does not wait for a host that gets the file from here and does
// not come on.
func TestSpreadWaits(t *testing.T) {
	s := &spreading{how: &Spread{stall: 50 * time.Millisecond}, plan: spreadPlan{seeds: 1, fanout: 1}, changed: make(chan struct{})}
	if got, err := s.turn(testContext(t), &tries{}); err != nil || got.kind != turnSeed {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := s.turn(testContext(t), &tries{}); err != nil || got.kind != turnDirect || !strings.HasPrefix(got.why, "nothing came on") {
		t.Errorf("%+v, %v", got, err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	s.how.stall = time.Hour
	var e *sshpool.Error
	if _, err := s.turn(ctx, &tries{}); !errors.As(err, &e) || e.Kind != sshpool.KindCanceled {
		t.Errorf("canceled: %v", err)
	}
}

// cut has all connections of this side end at once when it is called.
func (s *spreadHosts) cut() func() {
	var mu sync.Mutex
	var open []net.Conn
	for _, h := range s.hosts {
		dial := h.target.DialContext
		h.target.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			mu.Lock()
			defer mu.Unlock()
			open = append(open, c)
			return c, err
		}
	}
	return func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			c.Close()
		}
	}
}

// TestSpreadHostile has the host that serves be a liar that does with its one
// login what it can. All that it can is to write a file that is compared and
// thrown away; nothing else comes to the host that is served, then or later.
func TestSpreadHostile(t *testing.T) {
	const version = `[ "$1" = -V ] && exec /usr/bin/ssh -V
`
	for _, c := range []struct {
		name, ssh string
		from      string // whether the file comes all the same: yes, no, or either
	}{
		{"another command", version + `
n=$#; i=1; for a do shift; [ $i = $n ] || set -- "$@" "$a"; i=$((i + 1)); done
exec /usr/bin/ssh "$@" "touch %[1]s/evil"
`, "yes"},
		{"a terminal and forwarding", version + `exec /usr/bin/ssh -tt -o ClearAllForwardings=no -R 0:127.0.0.1:22 "$@"`, "yes"},
		{"zeros without end", version + `exec /usr/bin/ssh "$@" </dev/zero`, "no"},
		{"zeros after it", version + `(cat; head -c 5000000 /dev/zero) | /usr/bin/ssh "$@"`, "yes"},
		{"a second session", version + `
d=$(mktemp -d)
/usr/bin/ssh -o ControlMaster=yes -S "$d/s" "$@" || exit
`, "yes"},
		// One login, and as many sessions by it as the host takes, before the file is
		// there and after.
		{"sessions afterwards", version + `
s=%[2]s/socket
/usr/bin/ssh -M -N -f -S $s "$@" </dev/null >/dev/null 2>&1
/usr/bin/ssh -S $s none x; r=$?
(for i in 1 2 3 4 5; do head -c 100000 /dev/zero | /usr/bin/ssh -S $s none x; sleep 0.2; done; : >%[2]s/over; /usr/bin/ssh -S $s -O exit none) >/dev/null 2>&1 </dev/null &
exit $r
`, "either"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := newSpreadHosts(t, nil, nil)
			h := s.hosts[1]
			text := c.ssh
			if bytes.Contains([]byte(text), []byte("%[")) {
				text = fmt.Sprintf(text, h.dst, dir)
			}
			seed := newSpreadHosts(t, program(t, "ssh", text)).hosts[0]
			seed.dst = s.hosts[0].dst
			s.hosts[0] = seed
			s.push(testContext(t), &Push{Spread: &Spread{Seeds: 1, Fanout: 1, By: SpreadKey}}, func() {})
			s.log()
			if c.name == "sessions afterwards" {
				sshtest.Until(t, "end of the sessions", func() bool { _, err := os.Stat(dir + "/over"); return err == nil })
			}
			s.settled()
			if n := strings.Count(h.Log(), "Starting session: forced-command"); c.name == "sessions afterwards" && n < 5 {
				t.Errorf("%d sessions by the key, want more", n)
			}
			if h.err == nil && c.from != "either" && (h.did.From != "") != (c.from == "yes") {
				t.Errorf("from %q, direct %q", h.did.From, h.did.Direct)
			}
		})
	}
}
