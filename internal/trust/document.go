package trust

import (
	"encoding/json"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"

	"fleet/scheduler"
	"fleet/sshpool/hostkeys"
)

// document is what --output json shows; docs/schema/trust.json is its schema.
type document struct {
	V          int              `json:"v"`
	Keys       []keyJSON        `json:"keys"`
	Unanswered []unansweredJSON `json:"unanswered"`
	Shared     []sharedJSON     `json:"shared"`
	Summary    map[string]int   `json:"summary"`
}

type keyJSON struct {
	Host        string      `json:"host"`
	KnownAs     string      `json:"known_as"`
	Server      string      `json:"server"`
	State       State       `json:"state"`
	Type        string      `json:"type"`
	Fingerprint string      `json:"fingerprint"`
	Key         string      `json:"key"`
	Authority   *string     `json:"authority"`
	Reason      *string     `json:"reason"`
	Known       []entryJSON `json:"known"`
	Approved    *bool       `json:"approved,omitempty"`
}

type entryJSON struct {
	Type        string  `json:"type"`
	Fingerprint string  `json:"fingerprint"`
	File        string  `json:"file"`
	Line        int     `json:"line"`
	Marker      *string `json:"marker"`
}

type unansweredJSON struct {
	Host    string            `json:"host"`
	Outcome scheduler.Outcome `json:"outcome"`
	Cause   scheduler.Cause   `json:"cause"`
}

type sharedJSON struct {
	Type        string   `json:"type"`
	Fingerprint string   `json:"fingerprint"`
	Hosts       []string `json:"hosts"`
	Addresses   int      `json:"addresses"`
}

// WriteJSON writes the report as one document. approved, where not nil, says
// which keys were approved and written.
func (r *Report) WriteJSON(w io.Writer, keys []Key, approved func(*Key) bool) error {
	doc := document{V: 1, Keys: []keyJSON{}, Unanswered: []unansweredJSON{}, Shared: []sharedJSON{}, Summary: map[string]int{}}
	for i := range keys {
		k := newKeyJSON(&keys[i])
		if approved != nil {
			yes := approved(&keys[i])
			k.Approved = &yes
		}
		doc.Keys = append(doc.Keys, k)
	}
	for _, u := range r.Unanswered {
		doc.Unanswered = append(doc.Unanswered, unansweredJSON(u))
	}
	for _, s := range SharedKeys(r.Keys) {
		doc.Shared = append(doc.Shared, sharedJSON(s))
	}
	counts := Count(r.Keys)
	for _, s := range States {
		doc.Summary[string(s)] = counts[s]
	}
	doc.Summary["unanswered"] = len(r.Unanswered)
	return encode(w, doc)
}

func newKeyJSON(k *Key) keyJSON {
	j := keyJSON{Host: k.Host, KnownAs: k.Addr, Server: k.Daemon, State: k.State, Type: k.Key.Type(), Fingerprint: k.Fingerprint(),
		Key: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.Key))), Known: []entryJSON{}}
	if a := k.Authority(); a != "" {
		j.Authority = &a
	}
	if k.Refusal != nil {
		text := k.Refusal.Error()
		j.Reason = &text
		for _, e := range k.Refusal.Known {
			j.Known = append(j.Known, newEntryJSON(e))
		}
	}
	return j
}

func newEntryJSON(e hostkeys.Entry) entryJSON {
	j := entryJSON{Type: e.Key.Type(), Fingerprint: entryFingerprint(e), File: e.File, Line: e.Line}
	if e.Marker != hostkeys.NoMarker {
		m := string(e.Marker)
		j.Marker = &m
	}
	return j
}

func entryFingerprint(e hostkeys.Entry) string { return ssh.FingerprintSHA256(e.Key) }

// forgottenDocument is what --output json shows of a removal;
// docs/schema/trust-remove.json is its schema.
type forgottenDocument struct {
	V       int             `json:"v"`
	DryRun  bool            `json:"dry_run"`
	Removed []forgottenJSON `json:"removed"`
	Still   []stillJSON     `json:"still"`
	Pinned  []string        `json:"pinned"`
}

type forgottenJSON struct {
	Hosts       []string `json:"hosts"`
	File        string   `json:"file"`
	Line        int      `json:"line"`
	Type        string   `json:"type"`
	Fingerprint *string  `json:"fingerprint"`
	Others      bool     `json:"others"`
}

type stillJSON struct {
	Hosts []string `json:"hosts"`
	entryJSON
}

// WriteJSON writes what was removed, or with dry would be, as one document.
func (f *Forgotten) WriteJSON(w io.Writer, dry bool) error {
	doc := forgottenDocument{V: 1, DryRun: dry, Removed: []forgottenJSON{}, Still: []stillJSON{}, Pinned: append([]string{}, f.Pinned...)}
	for _, l := range f.Lines {
		j := forgottenJSON{Hosts: l.Hosts, File: l.File, Line: l.Line, Type: l.Type, Others: l.Others}
		if l.Fingerprint != "" {
			j.Fingerprint = &l.Fingerprint
		}
		doc.Removed = append(doc.Removed, j)
	}
	for _, s := range f.Still {
		doc.Still = append(doc.Still, stillJSON{s.Hosts, newEntryJSON(s.Entry)})
	}
	return encode(w, doc)
}

func encode(w io.Writer, doc any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
