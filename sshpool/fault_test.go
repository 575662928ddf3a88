package sshpool

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"fleet/internal/lab"
)

// TestDialFaults meets every way in which a connection does not come about.
func TestDialFaults(t *testing.T) {
	short := Limits{Total: time.Second}
	for _, c := range []struct {
		fault lab.Fault
		kind  Kind
		stage Stage
		text  string // equal, or a prefix if it ends with *
		long  bool   // takes until its limit
	}{
		{"refuse", KindRefused, StageTCP, "connection refused", false},
		{"reset", KindRefused, StageBanner, "connection dropped before the version line", false},
		{"eof", KindRefused, StageBanner, "connection dropped before the version line", false},
		{"hang", KindTimeout, StageBanner, "timeout in banner after 1s", true},
		{"preversion-flood", KindProtocol, StageBanner, "not an SSH server: *", false},
		{"throttle", KindThrottled, StageBanner, `throttled: "Exceeded MaxStartups"`, false},
		{"penalty", KindThrottled, StageBanner, `throttled: "Not allowed at this time"`, false},
		{"http", KindProtocol, StageBanner, `not an SSH server: "HTTP/1.*`, false},
		{"hang-kex", KindTimeout, StageKex, "timeout in kex after 1s", true},
		{"badkex", KindKexMismatch, StageKex, "no common algorithm for key exchange: we offer mlkem768x25519-sha256,*", false},
		{"wrong-key", KindHostKeyChanged, StageKex, "host key changed", false},
		{"unknown-key", KindHostKeyUnknown, StageKex, "host key is not in known_hosts", false},
		{"hang-auth", KindTimeout, StageAuth, "timeout in auth after 1s", true},
		{"slow-auth=30s", KindTimeout, StageAuth, "timeout in auth after 1s", true},
		{"deny-auth", KindAuth, StageAuth, "login refused; tried ssh-ed25519 SHA256:*", false},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			_, target := one(t, c.fault)
			target.Limits = Limits{Total: 30 * time.Second}
			if c.long {
				target.Limits = short
			}
			began := time.Now()
			_, err := Dial(testContext(t), target)
			e := wantError(t, err, c.kind, c.stage)
			prefix, open := strings.CutSuffix(c.text, "*")
			if e.Text != c.text && !(open && strings.HasPrefix(e.Text, prefix)) {
				t.Errorf("text %q, want %q", e.Text, c.text)
			}
			if strings.Contains(e.Text, "127.") || len(e.Text) > 1000 || e.Sent {
				t.Errorf("bad error %+v", e)
			}
			took := time.Since(began)
			if c.long && took < short.Total || took > 20*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestStageLimits finds each stage's own limit before Total.
func TestStageLimits(t *testing.T) {
	t.Parallel()
	const d = 200 * time.Millisecond
	for fault, c := range map[lab.Fault]struct {
		limits Limits
		stage  Stage
	}{
		"hang":      {Limits{Banner: d}, StageBanner},
		"hang-kex":  {Limits{Kex: d}, StageKex},
		"hang-auth": {Limits{Auth: d}, StageAuth},
	} {
		_, target := one(t, fault)
		target.Limits = c.limits
		_, err := Dial(testContext(t), target)
		e := wantError(t, err, KindTimeout, c.stage)
		if want := "timeout in " + string(c.stage) + " after 200ms"; e.Text != want {
			t.Errorf("text %q, want %q", e.Text, want)
		}
	}
}

func TestEndlessPrefaceIsBounded(t *testing.T) {
	_, target := one(t, "preversion-flood")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, err := Dial(testContext(t), target)
	runtime.GC()
	runtime.ReadMemStats(&after)
	e := wantError(t, err, KindProtocol, StageBanner)
	if len(e.Text) > 4*maxExcerpt+100 {
		t.Errorf("text of %d bytes", len(e.Text))
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
}
