// Package forward carries connections through the one to a host: what is
// accepted here comes out at the host (local), what is accepted at the host
// comes out here (remote), and SOCKS5 clients say for each connection where it
// goes (dynamic).
//
//   - [Parse] reads a SPEC as ssh(1) has them for -L, -R and -D.
//   - [Listen] takes the local addresses; [Set.Open] asks the host for the remote
//     ones; [Set.Serve] carries connections until its context ends.
package forward

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Kind is which way a forward goes.
type Kind byte

// The kinds are named by their flags.
const (
	Local   Kind = 'L' // accepted here, connected from the host
	Remote  Kind = 'R' // accepted on the host, connected from here
	Dynamic Kind = 'D' // accepted here, connected from the host to where the client says
)

// Endpoint is one side of a forward: a TCP port or a UNIX socket.
type Endpoint struct {
	Network string // "tcp" or "unix"; empty: where the SOCKS client says
	Host    string // where to listen: "localhost" is the loopback only, empty all addresses
	Port    int    // where to listen, 0 is any free one
	Path    string // of the socket
}

// Addr is the endpoint as Dial and Listen functions take it.
func (e Endpoint) Addr() string {
	if e.Network == "unix" {
		return e.Path
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(e.Port))
}

// Spec is one forward.
type Spec struct {
	Kind   Kind
	Listen Endpoint
	To     Endpoint // its Network is empty where a SOCKS client says
	text   string
}

// String is the flag that the spec was given by.
func (s Spec) String() string { return "-" + string(rune(s.Kind)) + " " + s.text }

// Forms of a spec, for messages.
const (
	formLocal   = "[BIND:]PORT:HOST:HOSTPORT, with /SOCKET in the place of either side"
	formRemote  = formLocal + ", or [BIND:]PORT for SOCKS5"
	formDynamic = "[BIND:]PORT"
)

// Parse reads a spec of the given kind. An error does not repeat the text.
func Parse(kind Kind, text string) (Spec, error) {
	s := Spec{Kind: kind, text: text}
	fields, err := split(text)
	if err == nil {
		err = s.parse(fields)
	}
	if err != nil {
		form := map[Kind]string{Local: formLocal, Remote: formRemote, Dynamic: formDynamic}[kind]
		return Spec{}, fmt.Errorf("%w; the form is %s", err, form)
	}
	return s, nil
}

// errForm is what is said of a spec with too few or too many parts.
var errForm = errors.New("not a forward")

func (s *Spec) parse(fields []string) (err error) {
	if s.Listen, fields, err = listen(fields, s.Kind); err != nil {
		return err
	}
	switch {
	case len(fields) == 0 && s.Kind != Local:
		return nil
	case s.Kind == Dynamic:
		return errForm
	case len(fields) == 1 && isPath(fields[0]):
		s.To = Endpoint{Network: "unix", Path: fields[0]}
		return nil
	case len(fields) != 2:
		return errForm
	case fields[0] == "":
		return errors.New("no host to connect to")
	}
	s.To = Endpoint{Network: "tcp", Host: fields[0]}
	s.To.Port, err = port(fields[1])
	if err == nil && s.To.Port == 0 {
		err = errors.New("port 0 cannot be connected to")
	}
	return err
}

// listen takes the side to listen on from the front of fields.
func listen(fields []string, kind Kind) (e Endpoint, rest []string, err error) {
	if isPath(fields[0]) {
		if kind == Dynamic {
			return e, nil, errForm
		}
		return Endpoint{Network: "unix", Path: fields[0]}, fields[1:], nil
	}
	e = Endpoint{Network: "tcp", Host: "localhost"}
	bound := len(fields) == 4 || // BIND:PORT:HOST:HOSTPORT
		len(fields) == 3 && isPath(fields[2]) || // BIND:PORT:/SOCKET
		len(fields) == 2 && kind != Local && !isPath(fields[1]) // BIND:PORT
	if bound {
		if e.Host = fields[0]; e.Host == "*" {
			e.Host = ""
		}
		fields = fields[1:]
	}
	e.Port, err = port(fields[0])
	return e, fields[1:], err
}

func isPath(field string) bool { return strings.Contains(field, "/") }

func port(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is no port", text)
	}
	return int(n), nil
}

// split takes text apart at the colons that are not in brackets, which it drops.
func split(text string) ([]string, error) {
	var fields []string
	for {
		var field string
		if rest, ok := strings.CutPrefix(text, "["); ok {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return nil, errors.New("bracket without an end")
			}
			field, text = rest[:end], rest[end+1:]
			if strings.ContainsAny(field, "[/") || field == "" {
				return nil, errors.New("no address in the brackets")
			}
			if text != "" && text[0] != ':' {
				return nil, errors.New("something behind a bracket")
			}
		} else {
			end := strings.IndexByte(text+":", ':')
			field, text = text[:end], text[end:]
		}
		for _, c := range []byte(field) {
			if c <= ' ' || c == 0x7f {
				return nil, errors.New("space or control character")
			}
		}
		fields = append(fields, field)
		if text == "" {
			return fields, nil
		}
		text = text[1:]
	}
}
