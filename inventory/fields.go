package inventory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// setting reads one key of an entry into p; it reports false if the key is none
// that every entry has. Ranges in an address need e, the hosts beside it.
func (r *reader) setting(p *patch, e *hostEntry, key, n *yaml.Node) bool {
	if key.Value == "vars" {
		p.vars = r.variables(n, p)
		return true
	}
	f, ok := fieldByName(key.Value)
	if !ok || f.isSecret() {
		return false
	}
	p.given |= f
	p.note(key.Value, true, markOf(key))
	switch f {
	case fieldAddress:
		p.address = r.address(e, n)
	case fieldPort:
		p.port = r.port(n)
	case fieldUser:
		p.user = r.checked(n, "user", checkUser)
	case fieldKey:
		p.more().Key = r.list(n, "key", checkText)
	case fieldCertificate:
		p.more().Certificate = r.list(n, "certificate", checkText)
	case fieldJump:
		p.more().Jump = r.jump(n)
	case fieldProxyCommand:
		if text := r.checked(n, "proxy_command", checkText); text != "none" {
			p.more().ProxyCommand = text
		}
	case fieldBecome:
		p.more().Become = r.yes(n, "become")
	case fieldBecomeUser:
		p.more().BecomeUser = r.checked(n, "become_user", checkUser)
	case fieldBecomeMethod:
		p.more().BecomeMethod = r.oneOf(n, "become_method", "sudo", "su", "doas")
	case fieldHostKey:
		p.more().HostKey = r.list(n, "hostkey", checkHostKey)
	case fieldKnownHosts:
		p.more().KnownHosts = r.list(n, "known_hosts", checkText)
	case fieldConnectTimeout:
		p.more().ConnectTimeout = r.duration(n, "connect_timeout")
	case fieldShell:
		p.more().Shell = r.checked(n, "shell", checkText)
	case fieldBecomePassFile:
		p.more().BecomePassFile = r.checked(n, "become_pass_file", checkText)
	case fieldBecomePassCommand:
		p.more().BecomePassCommand = r.checked(n, "become_pass_command", checkText)
	}
	return true
}

// unknownField names the nearest setting, or where a name from elsewhere belongs.
func (r *reader) unknownField(key *yaml.Node, others ...string) {
	word := strings.ToLower(key.Value)
	hint := ""
	plain := strings.TrimPrefix(strings.TrimPrefix(word, "ansible_"), "ssh_")
	switch plain {
	case "host", "hostname", "ip":
		hint = `write "address"`
	case "private_key_file", "identity_file", "identityfile", "identity":
		hint = `write "key"`
	case "proxyjump", "proxy_jump", "bastion":
		hint = `write "jump"`
	case "sudo":
		hint = `write "become"`
	case "become_pass", "become_password":
		hint = "no secret stands in the inventory: become_pass_file and become_pass_command say where it is"
	case "pass", "password", "passphrase":
		hint = "no secret stands in the inventory: use --ask-pass or --pass-file"
	}
	if f, ok := fieldByName(plain); ok && !f.isSecret() {
		hint = fmt.Sprintf("write %q", plain)
	}
	if hint == "" {
		hint = didYouMean(word, slices.Values(append(fieldNames(), others...)))
	}
	if hint == "" {
		hint = "variables of your own go under vars"
	}
	r.bad(key, key.Value, fmt.Sprintf("unknown field %q", abbreviate(key.Value)), hint)
}

// text gives a scalar's text; lists, mappings and null are reported.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	target := deref(n)
	if target.Kind != yaml.ScalarNode || isNull(target) {
		r.bad(n, wordOf(target), fmt.Sprintf("%s: want a word, found %s", what, kindName(target)), "")
		return "", false
	}
	return target.Value, true
}

func (r *reader) checked(n *yaml.Node, what string, check func(what, text string) string) string {
	text, ok := r.text(n, what)
	if !ok {
		return ""
	}
	if msg := check(what, text); msg != "" {
		r.bad(n, text, msg, "")
	}
	return text
}

// list reads one word or a list of words.
func (r *reader) list(n *yaml.Node, what string, check func(what, text string) string) []string {
	items := []*yaml.Node{n}
	if target := deref(n); target.Kind == yaml.SequenceNode {
		items = target.Content
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		out = append(out, r.checked(item, what, check))
	}
	return out
}

// jump reads hops from a list or from one word with commas; none is no hop.
func (r *reader) jump(n *yaml.Node) []string {
	out := []string{}
	for _, item := range r.list(n, "jump", checkText) {
		for hop := range strings.SplitSeq(item, ",") {
			hop = strings.TrimSpace(hop)
			if hop == "none" && item == hop {
				continue
			}
			if msg := checkJump(hop); msg != "" && item != "" {
				word := hop
				if msg == jumpPassword {
					word = ""
				}
				r.bad(n, word, msg, "")
				continue
			}
			out = append(out, hop)
		}
	}
	return out
}

// address reads an address, in which a range may stand beside one in the names.
func (r *reader) address(e *hostEntry, n *yaml.Node) string {
	text, ok := r.text(n, "address")
	if !ok {
		return ""
	}
	if bare, ok := bareIPv6(text); ok {
		text = bare
	}
	size := 1
	if e != nil {
		size = e.names.size()
	}
	if !strings.ContainsAny(text, "[],") {
		msg := checkAddress(text)
		if msg != "" {
			r.bad(n, text, msg, "")
		} else if size > 1 {
			r.bad(n, text, fmt.Sprintf("one address for %d hosts", size), "write a range as in the names, such as 10.0.0.[1-20]")
		}
		return text
	}
	if e == nil {
		r.bad(n, text, "an address with a range and no host names beside it", "put it under hosts")
		return ""
	}
	set, err := ParseSet(text)
	if err != nil {
		r.badSet(n, err)
		return ""
	}
	for i := range set.terms {
		set.terms[i].each(nil, 0, func(address []byte) bool {
			if msg := checkAddress(string(address)); msg != "" {
				r.bad(n, text, msg, "")
			}
			return false
		})
	}
	switch {
	case len(set.shared) > 0:
		r.bad(n, text, "two ranges in one address list", "write them as one range, such as 10.0.0.[1-5,9-12]")
	case e.names.at.Line > 0 && set.size != size:
		r.bad(n, text, fmt.Sprintf("%s for %s", plural(set.size, "address", "addresses"), plural(size, "host", "hosts")), "")
	}
	e.addresses = set
	return ""
}

func (r *reader) port(n *yaml.Node) int {
	text, ok := r.text(n, "port")
	if !ok {
		return 0
	}
	port, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil:
		r.bad(n, text, fmt.Sprintf("port %q is not a number", abbreviate(text)), "")
	case port < 1 || port > 65535:
		r.bad(n, text, fmt.Sprintf("port %d is not in 1-65535", port), "")
	}
	return int(port)
}

func (r *reader) yes(n *yaml.Node, what string) bool {
	text, ok := r.text(n, what)
	if !ok {
		return false
	}
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	}
	r.bad(n, text, fmt.Sprintf("%s: want true or false, found %q", what, abbreviate(text)), "")
	return false
}

func (r *reader) oneOf(n *yaml.Node, what string, known ...string) string {
	text, ok := r.text(n, what)
	if ok && !slices.Contains(known, text) {
		hint := didYouMean(text, slices.Values(known))
		r.bad(n, text, fmt.Sprintf("%s %q is none of %s", what, abbreviate(text), strings.Join(known, ", ")), hint)
	}
	return text
}

// duration reads 10s or 1m30s, or whole seconds as ssh_config has them.
func (r *reader) duration(n *yaml.Node, what string) time.Duration {
	const most = 24 * time.Hour
	text, ok := r.text(n, what)
	if !ok {
		return 0
	}
	d, err := time.ParseDuration(text)
	if seconds, failed := strconv.ParseUint(text, 10, 32); failed == nil {
		d, err = time.Duration(seconds)*time.Second, nil
	}
	switch {
	case err != nil:
		r.bad(n, text, fmt.Sprintf("%s %q is no duration", what, abbreviate(text)), "write 10s or 1m30s")
	case d <= 0 || d > most:
		r.bad(n, text, fmt.Sprintf("%s %s is not between 0s and 24h", what, text), "")
	}
	return d
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
