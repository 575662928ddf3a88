package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fleet/inventory"
)

// Bounds of one fetch.
const (
	fetchLimit   = 30 * time.Second // from DNS to the last byte
	maxRedirects = 5
	maxRemote    = 64 << 20 // bytes
)

// DefaultRemoteAge is how old a copy may be that stands for its source without
// asking it again.
const DefaultRemoteAge = time.Minute

// Remote says how inventories are fetched.
type Remote struct {
	// CacheDir is where the last good copies are kept, for the user alone; empty:
	// none are.
	CacheDir string
	// HeaderFile has headers to send, one NAME: VALUE a line; empty: none. It must
	// be readable by nobody else.
	HeaderFile string
	// MaxAge is how old a copy may be that is used without asking; 0 for
	// DefaultRemoteAge, negative to ask always.
	MaxAge time.Duration
	// Transport does the requests; nil for one with this machine's certificates
	// and proxies.
	Transport http.RoundTripper
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")
}

// readRemote reads a source of any kind that is fetched by HTTP.
func (l *loader) readRemote(it *item) error {
	u, err := checkURL(it.text)
	if err != nil {
		return err
	}
	f := &fetch{Remote: l.Remote, url: u.String(), shown: shownURL(u)}
	it.text, it.path = f.shown, f.shown
	kept := f.kept()
	age := l.Remote.MaxAge
	if age == 0 {
		age = DefaultRemoteAge
	}
	if kept != nil && time.Since(kept.Fetched) < age && time.Since(kept.Fetched) >= 0 {
		return l.readCopy(it, kept)
	}
	body, fresh, err := f.get(l.ctx, kept)
	if err == nil && fresh == nil { // as it was
		return l.readCopy(it, kept)
	}
	if err == nil {
		if err = l.readBody(it, body); err == nil {
			if err := f.keep(fresh, body); err != nil {
				l.warn(it, "no copy kept: "+pathCause(err).Error())
			}
			return nil
		}
	}
	if l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	var refused *refusedError
	var broken *brokenHeaders
	if kept == nil || badCertificate(err) || errors.As(err, &refused) || errors.As(err, &broken) {
		f.last = kept
		return f.failed(err)
	}
	if copyErr := l.readCopy(it, kept); copyErr != nil {
		return f.failed(err)
	}
	l.warn(it, fmt.Sprintf("%v; the last good copy is used, from %s (%s ago)", flat(err), kept.Fetched.Format(time.DateTime), time.Since(kept.Fetched).Round(time.Second)))
	return nil
}

// flat is an error's text on one line.
func flat(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

func (l *loader) warn(it *item, msg string) {
	l.result.Warnings = append(l.result.Warnings, &inventory.Error{File: it.text, Msg: msg})
}

// readCopy reads what was fetched before.
func (l *loader) readCopy(it *item, kept *copyOf) error {
	body, err := os.ReadFile(kept.file)
	if err != nil {
		return err
	}
	return l.readBody(it, body)
}

func (l *loader) readBody(it *item, body []byte) error {
	it.data, it.read, it.info, it.shaped = body, true, standardInput{int64(len(body))}, false
	if len(bytes.TrimSpace(body)) == 0 {
		return &Error{Source: it.text, Msg: "the answer is empty"}
	}
	return l.claim(it)
}

// checkURL refuses URLs over which secrets would go, or strangers' answers come.
func checkURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, &Error{Msg: "-i URL: it is not one: " + strings.TrimPrefix(err.Error(), "parse ")}
	}
	switch {
	case u.User != nil:
		return nil, &Error{Msg: "-i " + shownURL(u) + ": a user or password in a URL is seen by everybody on this machine", Way: "put a header Authorization into a file, for --inventory-headers"}
	case u.Host == "":
		return nil, &Error{Msg: "-i " + shownURL(u) + ": it names no host"}
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, &Error{Msg: "-i " + shownURL(u) + ": anybody on the way could change what http brings", Way: "use https"}
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// shownURL is a URL without what may be secret in it: a user, a query.
func shownURL(u *url.URL) string {
	c := *u
	c.User, c.Fragment = nil, ""
	if c.RawQuery != "" {
		c.RawQuery = "..."
	}
	return c.String()
}

// fetch is one request.
type fetch struct {
	Remote
	url, shown string
	last       *copyOf // that is not used; nil if there is none
}

// refusedError is an answer that is not to be replaced by a copy.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// brokenHeaders is an error of the user's own file.
type brokenHeaders struct{ error }

func (e *brokenHeaders) Unwrap() error { return e.error }

func (f *fetch) failed(err error) error {
	var known *Error
	var list inventory.Errors
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &list):
		return list
	}
	return &Error{Source: f.shown, Msg: "fetch inventory: " + flat(err), Way: f.wayOut(err), Err: err}
}

// get asks the source. It gives no copy where kept is still what there is.
func (f *fetch) get(ctx context.Context, kept *copyOf) ([]byte, *copyOf, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, nil, err
	}
	own, err := f.headers(req)
	if err != nil {
		return nil, nil, &brokenHeaders{err}
	}
	if kept != nil && kept.ETag != "" {
		req.Header.Set("If-None-Match", kept.ETag)
	} else if kept != nil && kept.Modified != "" {
		req.Header.Set("If-Modified-Since", kept.Modified)
	}
	resp, err := f.client(own).Do(req)
	if err != nil {
		return nil, nil, f.plainError(ctx, err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	switch {
	case resp.StatusCode == http.StatusNotModified && kept != nil:
		kept.Fetched = time.Now()
		return nil, nil, f.keepMeta(kept)
	case resp.StatusCode >= 400 && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout:
		return nil, nil, &refusedError{"the server says " + statusText(resp)}
	case resp.StatusCode != http.StatusOK:
		return nil, nil, errors.New("the server says " + statusText(resp))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRemote+1))
	switch {
	case err != nil:
		return nil, nil, f.plainError(ctx, err)
	case len(body) > maxRemote:
		return nil, nil, &refusedError{fmt.Sprintf("more than %d bytes", maxRemote)}
	}
	return body, &copyOf{URL: f.url, Fetched: time.Now(), ETag: resp.Header.Get("ETag"), Modified: resp.Header.Get("Last-Modified")}, nil
}

func statusText(resp *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

// plainError takes the URL, whose query may be secret, from an error.
func (f *fetch) plainError(ctx context.Context, err error) error {
	var refused *refusedError
	var at *url.Error
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("no whole answer within %v", fetchLimit)
	case errors.As(err, &at):
		return at.Err
	}
	return err
}

// client follows redirects to the same place only if they could take headers, or
// the protection of TLS, elsewhere.
func (f *fetch) client(own bool) *http.Client {
	transport := f.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = fetchLimit
		t.DisableKeepAlives = true // one request
		transport = t
	}
	return &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		from := via[len(via)-1].URL
		switch {
		case len(via) > maxRedirects:
			return &refusedError{fmt.Sprintf("more than %d redirects", maxRedirects)}
		case from.Scheme == "https" && req.URL.Scheme != "https", req.URL.Scheme == "http" && !isLoopback(req.URL.Hostname()):
			return &refusedError{"redirected from https to " + shownURL(req.URL)}
		case own && req.URL.Host != via[0].URL.Host:
			return &refusedError{"redirected to " + shownURL(req.URL) + ", to which the headers are not sent"}
		}
		return nil
	}}
}

// headers adds those of the header file.
func (f *fetch) headers(req *http.Request) (own bool, err error) {
	req.Header.Set("User-Agent", "fleet")
	req.Header.Set("Accept", "application/json, application/yaml, text/*;q=0.9, */*;q=0.1")
	if f.HeaderFile == "" {
		return false, nil
	}
	broken := func(msg, way string) error {
		return &Error{Source: f.HeaderFile, Msg: "read headers: " + msg, Way: way}
	}
	info, err := os.Stat(f.HeaderFile)
	if err != nil {
		return false, broken(pathCause(err).Error(), "")
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return false, broken(fmt.Sprintf("others may read it (mode %04o)", info.Mode().Perm()), "chmod 600 "+f.HeaderFile)
	}
	data, err := os.ReadFile(f.HeaderFile)
	if err != nil {
		return false, broken(pathCause(err).Error(), "")
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" || strings.ContainsAny(name, " \t()<>@,;\\\"/[]?={}") || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return false, broken(fmt.Sprintf("line %d is not NAME: VALUE", n), "")
		}
		req.Header.Set(name, value)
		own = true
	}
	return own, nil
}

// copyOf is what is known of a kept copy.
type copyOf struct {
	URL      string    `json:"url"` // without what may be secret, see cacheName
	Fetched  time.Time `json:"fetched"`
	ETag     string    `json:"etag,omitempty"`
	Modified string    `json:"modified,omitempty"`
	file     string    // with the text
}

// cacheName is where a copy is kept: the headers count, as another user's
// answer may be another.
func (f *fetch) cacheName() string {
	if f.CacheDir == "" {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", f.url, f.HeaderFile)
	return filepath.Join(f.CacheDir, fmt.Sprintf("%x", h.Sum(nil)[:16]))
}

// kept finds the last good copy.
func (f *fetch) kept() *copyOf {
	name := f.cacheName()
	if name == "" {
		return nil
	}
	text, err := os.ReadFile(name + ".json")
	c := &copyOf{file: name + ".body"}
	if err != nil || json.Unmarshal(text, c) != nil {
		return nil
	}
	if _, err := os.Stat(c.file); err != nil {
		return nil
	}
	return c
}

// keep writes a copy, then what is known of it.
func (f *fetch) keep(c *copyOf, body []byte) error {
	name := f.cacheName()
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(f.CacheDir, 0o700); err != nil {
		return err
	}
	c.file = name + ".body"
	if err := replaceFile(c.file, body); err != nil {
		return err
	}
	return f.keepMeta(c)
}

func (f *fetch) keepMeta(c *copyOf) error {
	c.URL = f.shown
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return replaceFile(f.cacheName()+".json", text)
}

// replaceFile puts a new file, for the user alone, in the place of the old.
func replaceFile(name string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".new*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name()) //nolint:errcheck // the first error is what is told
		}
	}()
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
