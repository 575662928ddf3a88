package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// origin is a server whose answers a test changes.
type origin struct {
	*httptest.Server
	answer atomic.Pointer[func(w http.ResponseWriter, r *http.Request)]
	asked  atomic.Int64
}

func newOrigin(t *testing.T) *origin {
	o := &origin{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		(*o.answer.Load())(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *origin) answers(f func(w http.ResponseWriter, r *http.Request)) { o.answer.Store(&f) }

func (o *origin) says(text string) {
	o.answers(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
}

// TestRemote fetches, keeps a copy, and uses it when the source is down.
func TestRemote(t *testing.T) {
	o := newOrigin(t)
	cache := filepath.Join(t.TempDir(), "cache")
	opts := Options{Remote: Remote{CacheDir: cache, MaxAge: -1}}
	load := func(want, warning string) {
		t.Helper()
		r, err := Load(t.Context(), opts, o.URL+"/inv?token=hush")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(names(r.Inventory.Hosts()), " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		var all []string
		for _, w := range r.Warnings {
			all = append(all, w.Error())
		}
		text := strings.Join(all, "; ")
		if (warning == "") != (text == "") || !strings.Contains(text, warning) || strings.Contains(text, "hush") {
			t.Errorf("warnings %q, want %q", text, warning)
		}
	}
	o.says(`{"v":1,"hosts":[{"name":"a"},{"name":"b"}]}`)
	load("a b", "")
	o.says("hosts: {c: }\n")
	load("c", "")
	o.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	load("c", "the server says 503 Service Unavailable; the last good copy is used, from ")
	o.says("<html>Sorry</html>")
	load("c", "the last good copy is used")
	o.says("")
	load("c", "the answer is empty; the last good copy")
	o.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	load("c", "the last good copy")
	opts.Remote.MaxAge = time.Hour
	before := o.asked.Load()
	load("c", "")
	if o.asked.Load() != before {
		t.Error("asked though the copy is young")
	}
	opts.Remote.MaxAge = -1
	etag := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"7"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"7"`)
		fmt.Fprint(w, "hosts: {d: }\n")
	}
	o.answers(etag)
	load("d", "")
	load("d", "")
	files, err := filepath.Glob(cache + "/*")
	if err != nil || len(files) != 2 {
		t.Errorf("kept %v", files)
	}
	for _, file := range append(files, cache) {
		info, err := os.Stat(file)
		text, _ := os.ReadFile(file)
		if err != nil || info.Mode().Perm()&0o077 != 0 || strings.Contains(string(text), "hush") {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	o.Close()
	load("d", "connection refused; the last good copy")
}

// TestRemoteRefusals wants no copy where the server has an answer, and none of
// what would show secrets or trust strangers.
func TestRemoteRefusals(t *testing.T) {
	o := newOrigin(t)
	other := newOrigin(t)
	other.says("hosts: {stolen: }\n")
	o.says("hosts: {a: }\n")
	opts := Options{Remote: Remote{CacheDir: t.TempDir(), MaxAge: -1}}
	mustLoad(t, opts, o.URL)
	refuse := func(url, want string) {
		t.Helper()
		_, err := Load(t.Context(), opts, url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	for _, status := range []int{401, 403, 404, 410} {
		o.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		refuse(o.URL, fmt.Sprintf("the server says %d", status))
	}
	refuse("http://user:secret@127.0.0.1/x", "a user or password in a URL")
	refuse("http://192.0.2.1/x?k=hush", "http://192.0.2.1/x?...: anybody on the way could change what http brings")
	refuse("https:///x", "names no host")
	refuse("http://127.0.0.1:1/x?k=hush", "connection refused")
	o.answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
	refuse(o.URL, "more than 5 redirects")
	o.answers(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
	})
	refuse(o.URL, "redirected from https to http://192.0.2.1/")

	headers := filepath.Join(t.TempDir(), "headers")
	if err := os.WriteFile(headers, []byte("# mine\nAuthorization: Bearer secret\nX-Key: secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts.Remote.HeaderFile = headers
	var sent atomic.Value
	o.answers(func(w http.ResponseWriter, r *http.Request) {
		sent.Store(r.Header.Get("Authorization") + " " + r.Header.Get("X-Key"))
		fmt.Fprint(w, "hosts: {a: }\n")
	})
	mustLoad(t, opts, o.URL)
	if sent.Load() != "Bearer secret secret" {
		t.Errorf("sent %v", sent.Load())
	}
	o.answers(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	refuse(o.URL, "to which the headers are not sent")
	if other.asked.Load() > 0 {
		t.Error("asked another server with headers")
	}
	for text, mode := range map[string]os.FileMode{"Authorization: secret\n": 0o644, "no header secret\n": 0o600, "a b: secret\n": 0o600} {
		if err := os.WriteFile(headers, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(headers, mode); err != nil {
			t.Fatal(err)
		}
		refuse(o.URL, headers+": read headers: ")
	}
	opts.Remote.HeaderFile = headers + ".none"
	refuse(o.URL, "no such file or directory")
}

// TestRemoteBounds wants an end of answers that have none.
func TestRemoteBounds(t *testing.T) {
	o := newOrigin(t)
	o.answers(func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, 1<<20)
		for r.Context().Err() == nil {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	if _, err := Load(t.Context(), Options{}, o.URL); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("more than %d bytes", maxRemote)) {
		t.Error(err)
	}
}
