package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fleet/inventory"
)

// isHostsJSON takes what `fleet hosts --output json` writes, and a bare list of
// hosts in JSON.
func isHostsJSON(it *item) bool {
	if it.info.IsDir() {
		return false
	}
	data, err := it.content()
	if err != nil {
		return false
	}
	data = bytes.TrimLeft(bytes.TrimPrefix(data, []byte("\ufeff")), " \t\r\n")
	if len(data) == 0 {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	switch data[0] {
	case '[': // no section of an INI file, which is no JSON
		open, err := dec.Token()
		first, err2 := dec.Token()
		_, isText := first.(string)
		return err == nil && err2 == nil && open == json.Delim('[') && (isText || first == json.Delim('{') || first == json.Delim(']'))
	case '{':
		dec.Token() //nolint:errcheck // was seen
		first, err := dec.Token()
		version, err2 := dec.Token()
		return err == nil && err2 == nil && first == "v" && version == float64(1)
	}
	return false
}

func readHostsJSON(l *loader, it *item) error {
	data, err := it.content()
	if err != nil {
		return err
	}
	r := &hostsJSON{content: inventory.NewContent(it.path), data: bytes.TrimPrefix(data, []byte("\ufeff"))}
	r.dec = json.NewDecoder(bytes.NewReader(r.data))
	r.dec.UseNumber()
	if err := r.document(); err != nil {
		return inventory.Errors{r.located(err)}
	}
	if len(r.errs) > 0 {
		return r.errs
	}
	return l.add(it, r.content)
}

// hostsJSON reads one text, host by host.
type hostsJSON struct {
	content *inventory.Content
	data    []byte
	dec     *json.Decoder
	errs    inventory.Errors

	counted int64 // bytes of data whose lines were counted
	line    int   // line ends in them
	start   int64 // where the line at counted begins
}

// mark is the place of an offset; offsets only grow.
func (r *hostsJSON) mark(offset int64) inventory.Mark {
	offset = min(offset, int64(len(r.data)))
	if offset < r.counted {
		offset = r.counted
	}
	for i := r.counted; i < offset; i++ {
		if r.data[i] == '\n' {
			r.line++
			r.start = i + 1
		}
	}
	r.counted = offset
	return inventory.Mark{Line: r.line + 1, Column: int(offset-r.start) + 1}
}

// located gives an error of the decoder its place.
func (r *hostsJSON) located(err error) *inventory.Error {
	at := r.dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = syntax.Offset - 1
	}
	m := r.mark(at)
	msg := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		msg = "json: the text ends too early"
	}
	return &inventory.Error{File: r.content.File(), Line: m.Line, Column: m.Column, Msg: msg, Err: err}
}

// document reads the whole text: a list of hosts, or an object with a list hosts.
func (r *hostsJSON) document() error {
	open, err := r.dec.Token()
	if err != nil {
		return err
	}
	if open == json.Delim('[') {
		if err := r.list(); err != nil {
			return err
		}
		return r.end()
	}
	if open != json.Delim('{') {
		return errors.New("json: want a list of hosts")
	}
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return err
		}
		if key != "hosts" {
			var skipped json.RawMessage
			if err := r.dec.Decode(&skipped); err != nil {
				return err
			}
			continue
		}
		if open, err := r.dec.Token(); err != nil || open != json.Delim('[') {
			return errors.Join(err, errors.New("json: hosts is no list"))
		}
		if err := r.list(); err != nil {
			return err
		}
	}
	if _, err := r.dec.Token(); err != nil {
		return err
	}
	return r.end()
}

func (r *hostsJSON) end() error {
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("json: text after the end")
	}
	return nil
}

// list reads hosts up to the end of the list.
func (r *hostsJSON) list() error {
	for r.dec.More() {
		var one json.RawMessage
		if err := r.dec.Decode(&one); err != nil {
			return err
		}
		at := r.mark(r.dec.InputOffset() - int64(len(one)))
		if err := r.host(one, at); err != nil {
			var known inventory.Errors
			if !errors.As(err, &known) {
				known = inventory.Errors{located(err, r.content.File(), at.Line, at.Column)}
			}
			r.errs = append(r.errs, known...)
		}
		if len(r.errs) >= maxListed {
			return nil
		}
	}
	_, err := r.dec.Token()
	return err
}

// host reads a host: its name, or an object.
func (r *hostsJSON) host(text json.RawMessage, at inventory.Mark) error {
	if len(text) > 0 && text[0] == '"' {
		var name string
		if err := json.Unmarshal(text, &name); err != nil {
			return err
		}
		_, err := r.content.Host(name, at)
		return err
	}
	fields, err := decodeJSON(text)
	if err != nil {
		return err
	}
	object, ok := fields.(map[string]any)
	if !ok {
		return errors.New("json: a host is neither a name nor an object")
	}
	name, ok := object["name"].(string)
	if !ok {
		return errors.New(`json: a host without a text "name"`)
	}
	h, err := r.content.Host(name, at)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if err := r.field(h, name, key, object[key], at); err != nil {
			return err
		}
	}
	return nil
}

func (r *hostsJSON) field(h inventory.Entry, host, key string, value any, at inventory.Mark) error {
	switch key {
	case "name":
		return nil
	case "groups", "tags":
		names, ok := texts(value)
		if !ok {
			return &inventory.Error{Word: key, Msg: fmt.Sprintf("json: %s of %q is no list of texts", key, host)}
		}
		for _, name := range names {
			if name == inventory.All {
				continue
			}
			g, err := r.content.Group(name, at)
			if err != nil {
				return err
			}
			if _, err := g.AddHost(host, at); err != nil {
				return err
			}
		}
		return nil
	case "vars":
		vars, ok := value.(map[string]any)
		if !ok && value != nil {
			return &inventory.Error{Word: key, Msg: fmt.Sprintf("json: vars of %q is no object", host)}
		}
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			h.Var(name, vars[name], at)
		}
		return nil
	}
	if value == nil || value == "" { // as it is written where nothing is known
		return nil
	}
	if key == "address" && value == host || key == "port" && value == int64(22) {
		return nil // what fleet hosts writes where the inventory says nothing
	}
	words, ok := texts(value)
	if !ok {
		return &inventory.Error{Word: key, Msg: fmt.Sprintf("json: %s of %q is neither a text nor a list of texts", key, host)}
	}
	return h.Setting(key, at, words...)
}

// texts gives a scalar, or a list of scalars, as texts.
func texts(value any) ([]string, bool) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case bool:
			out = append(out, strconv.FormatBool(v))
		case int64:
			out = append(out, strconv.FormatInt(v, 10))
		default:
			return nil, false
		}
	}
	return out, true
}

// decodeJSON gives a value in the types that Host.Vars names.
func decodeJSON(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return plainJSON(v), nil
}

func plainJSON(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil && !strings.ContainsAny(v.String(), "nN") {
			return f
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = plainJSON(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainJSON(v[k])
		}
	}
	return v
}
