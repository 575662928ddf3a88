package sshconfig

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Value is a value and the line it comes from.
type Value[T any] struct {
	V T
	From
}

// Resolved is what the files mean for one host, ready for use: paths are
// absolute, tokens and variables expanded. Values that no file sets are those of
// the Query or ssh's defaults.
type Resolved struct {
	Host     string // as asked
	HostName Value[string]
	User     Value[string]
	Port     Value[int]

	IdentityFiles    []Value[string] // ssh's own list if no file sets any
	CertificateFiles []Value[string]
	IdentitiesOnly   Value[bool]
	IdentityAgent    Value[string] // path of a socket, "none", or empty for that of SSH_AUTH_SOCK

	ProxyJump    Value[[]Hop]  // first hop first; nil for none
	ProxyCommand Value[string] // empty for none

	UserKnownHosts        []Value[string]
	GlobalKnownHosts      []Value[string]
	RevokedHostKeys       Value[string] // empty for none
	HostKeyAlias          Value[string]
	StrictHostKeyChecking Value[string] // yes, no, ask, accept-new
	HashKnownHosts        Value[bool]

	ConnectTimeout      Value[time.Duration] // 0 for none
	ConnectionAttempts  Value[int]
	ServerAliveInterval Value[time.Duration] // 0 for none
	ServerAliveCountMax Value[int]
	AddressFamily       Value[string] // any, inet, inet6
	BindAddress         Value[string]
	BindInterface       Value[string]
	Compression         Value[bool]

	Ciphers                  Value[Algorithms]
	MACs                     Value[Algorithms]
	KexAlgorithms            Value[Algorithms]
	HostKeyAlgorithms        Value[Algorithms]
	PubkeyAcceptedAlgorithms Value[Algorithms]
	CASignatureAlgorithms    Value[Algorithms]
	RequiredRSASize          Value[int] // bits

	PreferredAuthentications     Value[[]string] // nil for the default
	PubkeyAuthentication         Value[bool]
	PasswordAuthentication       Value[bool]
	KbdInteractiveAuthentication Value[bool]
	NumberOfPasswordPrompts      Value[int]
	BatchMode                    Value[bool]

	SetEnv       []Value[string] // NAME=VALUE
	SendEnv      []Value[string] // patterns of names
	ForwardAgent Value[string]   // no, yes, or the path of a socket
	RequestTTY   Value[string]   // no, yes, force, auto
	LogLevel     Value[string]   // SILENT (which is QUIET) to DEBUG3
	Tag          Value[string]

	settings []Setting
}

// Setting is one value as `ssh -G` prints it.
type Setting struct {
	Key, Value string
	From
}

// Settings gives all values in the form of `ssh -G`, those of one key in order.
// Lists of algorithms stand as written, where a file sets them.
func (r *Resolved) Settings() []Setting { return slices.Clone(r.settings) }

// identities are the keys that ssh tries if no file says which.
var identities = []string{"id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"}

// answer builds a Resolved from a state; the first error stays.
type answer struct {
	*state
	*Resolved
	tokens tokens
	err    error
}

func (s *state) resolved(host string) (*Resolved, error) {
	c := s.connection(host)
	if s.first[kwHostKeyAlias] != nil {
		c.as = strings.ToLower(c.as)
	}
	a := &answer{state: s, Resolved: &Resolved{Host: s.query.Host}, tokens: c.tokens}
	a.settings = make([]Setting, 0, 48)
	a.add("host", s.query.Host, From{})
	a.target(host)
	a.login()
	a.proxy()
	a.hostKeys()
	a.transport()
	a.session()
	if a.err != nil {
		return nil, a.err
	}
	return a.Resolved, nil
}

func (a *answer) target(host string) {
	a.HostName = Value[string]{host, a.from(kwHostName)}
	a.User = Value[string]{a.user(), a.from(kwUser)}
	a.Port = Value[int]{number(a.port()), a.from(kwPort)}
	if a.query.HostName != "" {
		a.HostName.From = From{}
	}
	if a.query.User != "" {
		a.User.From = From{}
	}
	if a.query.Port > 0 {
		a.Port.From = From{}
	}
	if !isSafeUser(a.User.V) {
		a.fail(a.User.From, wrong(a.User.V, "%q is not the name of a user"))
	}
	a.add("hostname", host, a.HostName.From)
	a.add("user", a.User.V, a.User.From)
	a.add("port", a.port(), a.Port.From)
	a.Tag = a.text(kwTag)
	if a.query.Tag != "" {
		a.Tag = Value[string]{V: a.query.Tag}
	}
}

func (a *answer) login() {
	a.IdentityFiles = a.paths(0)
	a.CertificateFiles = a.paths(1)
	if len(a.state.files[0]) == 0 {
		for _, name := range identities {
			path := strings.TrimSuffix(a.env.UserDir, "/") + "/" + name
			a.IdentityFiles = append(a.IdentityFiles, Value[string]{V: path})
			a.add("identityfile", "~/.ssh/"+name, From{})
		}
	}
	a.IdentitiesOnly = a.flag(kwIdentitiesOnly)
	a.identityAgent()
	a.PreferredAuthentications = Value[[]string]{From: a.from(kwPreferredAuthentications)}
	if v := a.text(kwPreferredAuthentications); v.V != "" {
		a.PreferredAuthentications.V = strings.Split(v.V, ",")
	}
	a.PubkeyAuthentication = a.truth(kwPubkeyAuthentication)
	a.PasswordAuthentication = a.flag(kwPasswordAuthentication)
	a.KbdInteractiveAuthentication = a.flag(kwKbdInteractiveAuthentication)
	a.NumberOfPasswordPrompts = a.number(kwNumberOfPasswordPrompts)
	a.BatchMode = a.flag(kwBatchMode)
	a.ForwardAgent = a.path(kwForwardAgent)
	a.RequiredRSASize = a.number(kwRequiredRSASize)
	a.PubkeyAcceptedAlgorithms = a.algorithms(kwPubkeyAcceptedAlgorithms)
}

// identityAgent reads IdentityAgent, which may name a variable.
func (a *answer) identityAgent() {
	a.IdentityAgent = a.path(kwIdentityAgent)
	v := a.IdentityAgent.V
	if name, ok := strings.CutPrefix(v, "$"); ok {
		a.IdentityAgent.V = "none"
		if a.env.Getenv != nil {
			if value, set := a.env.Getenv(name); set && value != "" {
				a.IdentityAgent.V = value
			}
		}
	}
	if v == "SSH_AUTH_SOCK" {
		a.IdentityAgent.V = ""
	}
}

func (a *answer) proxy() {
	d := a.first[kwProxy]
	switch {
	case d == nil:
	case d.jump == nil:
		if strings.EqualFold(d.values[0], "none") {
			return
		}
		command, err := expandTokens(d.values[0], a.tokens.only("hnpr"))
		a.fail(d.From, err)
		a.ProxyCommand = Value[string]{command, d.From}
		a.add("proxycommand", d.values[0], d.From)
	case len(d.jump.hops) > 0:
		a.ProxyJump.From = d.From
		for _, hop := range d.jump.hops {
			for _, part := range []*string{&hop.User, &hop.Host} {
				text, err := expandTokens(*part, a.tokens.only("hnpr"))
				a.fail(d.From, err)
				*part = text
			}
			a.ProxyJump.V = append(a.ProxyJump.V, hop)
		}
		a.add("proxyjump", d.values[0], d.From)
	}
}

func (a *answer) hostKeys() {
	user, system := strings.TrimSuffix(a.env.UserDir, "/"), strings.TrimSuffix(a.env.SystemDir, "/")
	a.UserKnownHosts = a.pathList(kwUserKnownHostsFile, true, user+"/known_hosts", user+"/known_hosts2")
	a.GlobalKnownHosts = a.pathList(kwGlobalKnownHostsFile, false, system+"/ssh_known_hosts", system+"/ssh_known_hosts2")
	a.RevokedHostKeys = a.text(kwRevokedHostKeys)
	if v := &a.RevokedHostKeys; strings.EqualFold(v.V, "none") {
		v.V = ""
	} else if v.V != "" {
		v.V = a.full(v.V, v.From)
	}
	if d := a.first[kwHostKeyAlias]; d != nil {
		a.HostKeyAlias = Value[string]{strings.ToLower(d.values[0]), d.From}
		a.add("hostkeyalias", a.HostKeyAlias.V, d.From)
	}
	a.StrictHostKeyChecking = a.choice(kwStrictHostKeyChecking)
	a.HashKnownHosts = a.flag(kwHashKnownHosts)
	a.HostKeyAlgorithms = a.algorithms(kwHostKeyAlgorithms)
	a.CASignatureAlgorithms = a.algorithms(kwCASignatureAlgorithms)
}

func (a *answer) transport() {
	a.ConnectTimeout = a.seconds(kwConnectTimeout)
	if a.ConnectionAttempts = a.number(kwConnectionAttempts); a.ConnectionAttempts.V < 1 {
		a.fail(a.ConnectionAttempts.From, wrong("0", "%q connection attempts reach nobody"))
	}
	a.ServerAliveInterval = a.seconds(kwServerAliveInterval)
	a.ServerAliveCountMax = a.number(kwServerAliveCountMax)
	a.AddressFamily = a.text(kwAddressFamily)
	a.BindAddress = a.text(kwBindAddress)
	a.BindInterface = a.text(kwBindInterface)
	a.Compression = a.flag(kwCompression)
	a.Ciphers = a.algorithms(kwCiphers)
	a.MACs = a.algorithms(kwMACs)
	a.KexAlgorithms = a.algorithms(kwKexAlgorithms)
}

func (a *answer) session() {
	if d := a.first[kwSetEnv]; d != nil {
		for _, v := range d.values {
			a.SetEnv = append(a.SetEnv, Value[string]{v, d.From})
			a.add("setenv", v, d.From)
		}
	}
	a.SendEnv = a.sendEnv
	for _, v := range a.SendEnv {
		a.add("sendenv", v.V, v.From)
	}
	a.RequestTTY = a.choice(kwRequestTTY)
	a.LogLevel = a.text(kwLogLevel)
	a.text(kwCanonicalizeHostname)
}

func (a *answer) from(id int) From {
	if d := a.first[id]; d != nil {
		return d.From
	}
	return From{}
}

func (a *answer) add(key, value string, from From) {
	a.settings = append(a.settings, Setting{key, value, from})
}

func (a *answer) fail(from From, err error) {
	if err != nil && a.err == nil {
		a.err = at(from, err)
	}
}

// text gives a keyword's value as it is printed.
func (a *answer) text(id int) Value[string] {
	v := Value[string]{a.get(id), a.from(id)}
	if v.V != "" {
		a.add(a.keywords[id].name, v.V, v.From)
	}
	return v
}

// choice is text with yes and no for true and false.
func (a *answer) choice(id int) Value[string] {
	v := a.text(id)
	switch v.V {
	case "true":
		v.V = "yes"
	case "false":
		v.V = "no"
	}
	return v
}

func (a *answer) flag(id int) Value[bool] {
	v := a.text(id)
	return Value[bool]{v.V == "yes", v.From}
}

// truth is flag for keywords with more choices, which mean yes.
func (a *answer) truth(id int) Value[bool] {
	v := a.text(id)
	return Value[bool]{v.V != "false", v.From}
}

func (a *answer) number(id int) Value[int] {
	v := a.text(id)
	return Value[int]{number(v.V), v.From}
}

func (a *answer) seconds(id int) Value[time.Duration] {
	v := a.text(id)
	return Value[time.Duration]{time.Duration(number(v.V)) * time.Second, v.From}
}

func (a *answer) algorithms(id int) Value[Algorithms] {
	v := a.text(id)
	return Value[Algorithms]{Algorithms(v.V), v.From}
}

// number reads what readWord has checked; "none" is 0.
func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// full expands a path wholly.
func (a *answer) full(path string, from From) string {
	path, err := a.env.expandTilde(path)
	if err == nil {
		path, err = a.env.expand(path, a.tokens)
	}
	a.fail(from, err)
	return path
}

// path gives a keyword's value as a path.
func (a *answer) path(id int) Value[string] {
	v := Value[string]{a.get(id), a.from(id)}
	if v.V != "" {
		v.V = a.full(v.V, v.From)
		a.add(a.keywords[id].name, v.V, v.From)
	}
	return v
}

// paths gives the identity (0) or certificate (1) files. They are printed as
// they stand, as ssh -G does.
func (a *answer) paths(which int) []Value[string] {
	var list []Value[string]
	for _, d := range a.state.files[which] {
		a.add(d.kw.name, d.values[0], d.From)
		if !strings.EqualFold(d.values[0], "none") {
			list = append(list, Value[string]{a.full(d.values[0], d.From), d.From})
		}
	}
	return list
}

// pathList gives the files of a keyword that takes several; "none" is none.
// With tokens they are expanded.
func (a *answer) pathList(id int, expand bool, defaults ...string) []Value[string] {
	from := a.from(id)
	words := defaults
	if d := a.first[id]; d != nil {
		words = d.values
	}
	var list []Value[string]
	var printed []string
	for _, word := range words {
		if expand && from.IsSet() {
			word = a.full(word, from)
		}
		printed = append(printed, word)
		if !strings.EqualFold(word, "none") {
			list = append(list, Value[string]{word, from})
		}
	}
	a.add(a.keywords[id].name, strings.Join(printed, " "), from)
	return list
}
