package transfer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool"
)

// holding is the way to a host that has the file, and may serve others with it.
type holding struct {
	conn    *sshpool.Conn
	release func()
	loan    *sshpool.KeyLoan

	mu    sync.Mutex
	known *serving // nil: not asked yet
}

func (h *holding) close() {
	if h != nil {
		h.release()
	}
}

// serving asks the host once what it has for serving others.
func (h *holding) serving(ctx context.Context) (serving, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known != nil {
		return *h.known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, landingLimit)
	defer cancel()
	out := &firstBytes{most: maxSaid}
	plain := far{conn: h.conn}
	res, err := plain.script(ctx, nonce(), servingScript, nil, nil, out)
	if err == nil && (res.code != 0 || res.signal != "") {
		err = errors.New(ended(res))
	}
	if err != nil {
		return serving{}, err
	}
	s := readServing(string(out.kept))
	h.known = &s
	return s, nil
}

// copying is one copy of a file from a host that has it to one that has not.
type copying struct {
	d        *pushing
	from     *holder
	files    *sshpool.Files // of the host that is served
	size     int64
	rates    []*sshpool.Rate
	progress func(n int64)

	key  *sshpool.LentKey
	came int64 // told as progress
}

// loginLimit is how long a lent key signs.
const loginLimit = time.Minute

// errStalled ends a copy in which nothing arrives any more.
var errStalled = errors.New("stalled")

// fill brings the file to temp. An error that is no *copyFault is the fault of
// the connection to the host that is served, or that ctx ended.
func (c *copying) fill(ctx context.Context, temp string) error {
	if c.d.Spread.By == SpreadRelay {
		return c.relay(ctx, temp)
	}
	name := c.from.host
	has, err := c.from.far.serving(ctx)
	switch {
	case ctx.Err() != nil:
		return over(ctx)
	case err != nil:
		return faulty(faultSeed, "%s cannot serve others: %v", name, err)
	case has.version == "none":
		return faulty(faultSeed, "%s has no ssh client", name)
	case !strings.HasPrefix(has.version, "OpenSSH"):
		return faulty(faultSeed, "ssh on %s is not OpenSSH's: %s", name, quoted([]byte(has.version)))
	case c.d.Spread.By == SpreadKey && len(has.from) == 0:
		return faulty(faultSeed, "%s does not tell its addresses", name)
	}
	if strings.ContainsFunc(temp, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return faulty(faultTarget, "its folder's name cannot stand in authorized_keys")
	}
	stage := path.Join(path.Dir(temp), ".fleet-spread-"+nonce())
	if !path.IsAbs(stage) {
		stage = "./" + stage
	}
	command := landCommand(stage, fmt.Sprint(c.size))
	front, rest, err := c.lend(has, command)
	if err != nil {
		return err
	}
	l, err := c.d.land(ctx, stage, temp, front, rest)
	if err != nil {
		return err
	}
	sent := c.send(ctx, stage, command)
	kept, clean, err := l.leave(ctx, sent == nil)
	if !clean && front != "" {
		fmt.Fprintf(c.d.show.Err, "a temporary key may still stand in ~/.ssh/authorized_keys; it is good for nothing after %v\n", keyLife)
	}
	switch {
	case ctx.Err() != nil:
		return over(ctx)
	case err != nil:
		return targetFault(err)
	case sent != nil:
		return sent
	case !kept:
		return faulty(faultEither, "what %s sent did not arrive whole", name)
	}
	c.tell(c.size)
	return nil
}

// lend chooses the key for one login, and the line that has it accepted where that
// is a temporary one.
func (c *copying) lend(has serving, command string) (front, rest string, err error) {
	conn := c.d.far.conn
	c.key = &sshpool.LentKey{User: conn.User(), HostKey: conn.HostKey(), Until: time.Now().Add(loginLimit)}
	if c.d.Spread.By == SpreadAgent {
		if c.key.Signer = conn.LoginKey(); c.key.Signer == nil {
			return "", "", faulty(faultTarget, "its login is not by a key that could be lent")
		}
		c.key.Bound = true
		return "", "", nil
	}
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", "", err
	}
	if c.key.Signer, err = ssh.NewSignerFromSigner(private); err != nil {
		return "", "", err
	}
	front, rest = keyLine(c.key.Signer.PublicKey(), has.from, command)
	return front, rest, nil
}

// send has the holder send the file, while it watches what arrives.
func (c *copying) send(ctx context.Context, stage, command string) error {
	address, port, err := net.SplitHostPort(c.d.show.Address)
	if err != nil {
		return faulty(faultTarget, "it has no address for other hosts")
	}
	h := c.from.far
	takeBack := h.loan.Lend(c.key)
	defer takeBack()
	host := plainKey(c.key.HostKey)
	known := targetAlias + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host)))
	watched, stop := c.watch(ctx, func(ctx context.Context) (int64, error) {
		fi, err := c.files.SFTP().Stat(ctx, path.Join(stage, "part"))
		if err != nil {
			return 0, err
		}
		return fi.Size(), nil
	})
	defer stop()
	out := &firstBytes{most: maxSaid}
	only := "" // hosts with one home, and one host key, have several of these let in
	if c.d.Spread.By == SpreadKey {
		only = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(c.key.Signer.PublicKey())))
	}
	server := far{conn: h.conn, lend: h.loan, supervised: true}
	res, err := server.script(watched, nonce(), serveScript,
		[]string{c.from.path, known, keyAlgorithms(host), c.key.User, port, address, command, only}, nil, out)
	switch {
	case ctx.Err() != nil:
		return over(ctx)
	case context.Cause(watched) == errStalled:
		return faulty(faultEither, "nothing came from %s for %v", c.from.host, c.d.Spread.limit())
	case err != nil:
		return faulty(faultSeed, "%s cannot serve others: %s", c.from.host, strings.TrimPrefix(err.Error(), "exec: "))
	}
	return c.judge(strings.TrimSpace(string(out.kept)), res)
}

// judge says what came of serveScript.
func (c *copying) judge(told string, res scriptResult) error {
	name := c.from.host
	code, ran := strings.CutPrefix(told, "code ")
	said := firstLine(res.stderr)
	has := func(texts ...string) bool {
		for _, t := range texts {
			if bytes.Contains(res.stderr, []byte(t)) {
				return true
			}
		}
		return false
	}
	switch refused := c.from.far.loan.Refused(c.key); {
	case told == "no file":
		return faulty(faultSeed, "its login user cannot read the file on %s", name)
	case !ran:
		return faulty(faultSeed, "%s cannot serve others: %s", name, firstOf(told, ended(res)))
	case code == "0":
		return nil
	case refused != "" && has("Permission denied"):
		return faulty(faultSeed, "ssh on %s: %s", name, refused)
	case has("Permission denied (") && !c.from.far.loan.Used(c.key):
		return faulty(faultTarget, "its sshd does not take a temporary key")
	case has("Permission denied ("):
		return faulty(faultTarget, "its sshd refused the login from %s", name)
	case has("Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"):
		return faulty(faultEither, "%s is shown another host key there", name)
	case has("Bad configuration option", "command-line: line 0", "unknown option", "illegal option"):
		return faulty(faultSeed, "ssh on %s is too old: %s", name, quoted([]byte(said)))
	case code == "255":
		if i := strings.LastIndex(said, ": "); strings.HasPrefix(said, "ssh: ") && i > 0 {
			said = strings.ToLower(said[i+2:])
		}
		return faulty(faultEither, "%s cannot reach it: %s", name, quoted([]byte(firstOf(said, "ssh ended with 255"))))
	}
	return faulty(faultTarget, "what came could not be written: %s", quoted([]byte(firstOf(said, "exit status "+code))))
}

// tell tells that so many bytes of the file are there.
func (c *copying) tell(size int64) {
	if size > c.came {
		c.progress(size - c.came)
		c.came = size
	}
}

// watchEvery is how often it is looked how much has arrived.
const watchEvery = 500 * time.Millisecond

// watch asks again and again how much has arrived, tells it, and ends the context
// it gives where that is no more than it was for too long.
func (c *copying) watch(ctx context.Context, arrived func(context.Context) (int64, error)) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			before := c.came
			if n, err := arrived(ctx); err == nil {
				c.tell(min(n, c.size))
			}
			if c.came > before {
				last = time.Now()
			}
			if time.Since(last) > c.d.Spread.limit() {
				cancel(errStalled)
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-over
	}
}

// relay reads the file from the one host and writes it to the other.
func (c *copying) relay(ctx context.Context, temp string) error {
	name := c.from.host
	there, err := c.from.far.conn.Files(ctx)
	if err == nil && there.SFTP() == nil {
		there.Close()
		err = errors.New("no SFTP")
	}
	if err != nil {
		return faulty(faultSeed, "%s cannot serve others: %v", name, err)
	}
	defer there.Close()
	var moved relayed
	watched, stop := c.watch(ctx, func(context.Context) (int64, error) { return moved.bytes(), nil })
	defer stop()
	src, err := there.SFTP().Open(watched, c.from.path)
	if err != nil {
		return faulty(faultSeed, "%s cannot serve others: %v", name, err)
	}
	defer src.Close()
	dst, err := c.files.SFTP().OpenFile(watched, temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	r, w := io.Pipe()
	read := make(chan error, 1)
	go func() {
		_, err := src.WithContext(watched).WriteTo(w)
		w.CloseWithError(err)
		read <- err
	}()
	paced, _ := pace(watched, c.rates, io.LimitReader(io.TeeReader(r, &moved), c.size), nil)
	_, err = dst.WithContext(watched).ReadFrom(paced)
	r.CloseWithError(io.ErrClosedPipe)
	readErr := <-read
	closeErr := dst.Close()
	switch {
	case ctx.Err() != nil:
		return over(ctx)
	case context.Cause(watched) == errStalled:
		return faulty(faultEither, "nothing came from %s for %v", name, c.d.Spread.limit())
	case readErr != nil && !errors.Is(readErr, io.ErrClosedPipe):
		return faulty(faultSeed, "%s cannot serve others: %v", name, readErr)
	case err != nil:
		return err
	case closeErr != nil:
		return closeErr
	}
	stop()
	c.tell(c.size)
	return nil
}

// relayed counts bytes.
type relayed struct {
	mu sync.Mutex
	n  int64
}

func (r *relayed) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n += int64(len(p))
	return len(p), nil
}

func (r *relayed) bytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}
