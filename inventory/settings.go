package inventory

import (
	"math"
	"slices"
	"time"
)

// Settings is how a host is reached. The zero value of a field means that the
// inventory does not say. Paths are as written: a leading ~ is not expanded,
// and a relative path is not joined to the inventory's folder.
type Settings struct {
	Address        string        // host name or IP address to connect to
	Port           int           // 1 to 65535
	User           string        // login name
	Key            []string      // paths of private keys, in the order to try
	Certificate    []string      // paths of OpenSSH certificates
	Jump           []string      // jump hosts, first hop first: [user@]host[:port] or names of the inventory
	ProxyCommand   string        // command whose stdin and stdout are the connection; never set beside Jump
	Become         bool          // run as another user
	BecomeUser     string        // that user
	BecomeMethod   string        // sudo, su or doas
	HostKey        []string      // accepted host keys: "ssh-ed25519 AAAA..." or "SHA256:..."
	KnownHosts     []string      // paths of known_hosts files
	ConnectTimeout time.Duration // limit from the first packet to the end of login
	Shell          string        // path of the shell that commands are given to
	// Where the password for that is, on this machine: the first line of a file, or
	// of what a command writes. At most one of them is set.
	BecomePassFile, BecomePassCommand string
	Password                          Secret // of the login; hosts.yaml cannot hold it, other sources can
	BecomePassword                    Secret // of the other user, or of this one, as BecomeMethod wants it; likewise
}

// field is a set of settings.
type field uint32

const (
	fieldAddress field = 1 << iota
	fieldPort
	fieldUser
	fieldKey
	fieldCertificate
	fieldJump
	fieldProxyCommand
	fieldBecome
	fieldBecomeUser
	fieldBecomeMethod
	fieldHostKey
	fieldKnownHosts
	fieldConnectTimeout
	fieldShell
	fieldBecomePassFile
	fieldBecomePassCommand
	fieldPassword
	fieldBecomePassword
)

// fieldNames lists the settings as hosts.yaml writes them, in the order of the bits.
func fieldNames() []string {
	return []string{
		"address", "port", "user", "key", "certificate", "jump", "proxy_command", "become",
		"become_user", "become_method", "hostkey", "known_hosts", "connect_timeout", "shell",
		"become_pass_file", "become_pass_command",
	}
}

// SettingNames lists the settings that a source can give, by the names that
// hosts.yaml has for them, and passwords, which it cannot hold.
func SettingNames() []string { return fieldNames() }

func fieldByName(name string) (field, bool) {
	switch name {
	case "password":
		return fieldPassword, true
	case "become_password":
		return fieldBecomePassword, true
	}
	i := slices.Index(fieldNames(), name)
	if i < 0 {
		return 0, false
	}
	return 1 << i, true
}

// isSecret says whether the settings are among those that hosts.yaml does not hold.
func (f field) isSecret() bool { return f >= fieldPassword }

// patch is what one entry says: the settings named by given, and variables.
// There is one for every host that an inventory says something of: what few of
// them have is apart.
type patch struct {
	given   field
	widened bool // vars are those of the host, and those of p among them
	address string
	port    int
	user    string
	rest    *Settings // all others; nil: none is given
	vars    map[string]any
	// templates are settings of given that wait for their variables.
	templates []template
	file      string
	keys      []keyAt // in the order written
}

// keyAt is where a setting or a variable stands.
type keyAt struct {
	name    string
	line    int32
	column  int16 // the last it can hold for those further right
	setting bool
}

func (p *patch) note(name string, setting bool, at Mark) {
	p.keys = append(p.keys, keyAt{name, int32(min(at.Line, math.MaxInt32)), int16(min(at.Column, math.MaxInt16)), setting})
}

// apply writes the given settings over s. Jump and ProxyCommand are two answers
// to one question, and so are BecomePassFile and BecomePassCommand: the stronger
// entry's answer takes the other away.
func (p *patch) apply(s *Settings) {
	set(p, fieldAddress, &s.Address, p.address)
	set(p, fieldPort, &s.Port, p.port)
	set(p, fieldUser, &s.User, p.user)
	if p.given&^fieldsApart == 0 {
		return
	}
	rest := p.rest
	if rest == nil { // templates only
		rest = &Settings{}
	}
	set(p, fieldKey, &s.Key, rest.Key)
	set(p, fieldCertificate, &s.Certificate, rest.Certificate)
	if p.given&(fieldJump|fieldProxyCommand) != 0 {
		s.Jump, s.ProxyCommand = rest.Jump, rest.ProxyCommand
	}
	set(p, fieldBecome, &s.Become, rest.Become)
	set(p, fieldBecomeUser, &s.BecomeUser, rest.BecomeUser)
	set(p, fieldBecomeMethod, &s.BecomeMethod, rest.BecomeMethod)
	set(p, fieldHostKey, &s.HostKey, rest.HostKey)
	set(p, fieldKnownHosts, &s.KnownHosts, rest.KnownHosts)
	set(p, fieldConnectTimeout, &s.ConnectTimeout, rest.ConnectTimeout)
	set(p, fieldShell, &s.Shell, rest.Shell)
	if p.given&(fieldBecomePassFile|fieldBecomePassCommand) != 0 {
		s.BecomePassFile, s.BecomePassCommand = rest.BecomePassFile, rest.BecomePassCommand
	}
	set(p, fieldPassword, &s.Password, rest.Password)
	set(p, fieldBecomePassword, &s.BecomePassword, rest.BecomePassword)
}

// fieldsApart are the settings that a patch has fields of its own for.
const fieldsApart = fieldAddress | fieldPort | fieldUser

// settings gives all settings of p as one.
func (p *patch) settings() (s Settings) {
	p.apply(&s)
	return s
}

// more is where the settings are that p has no field of its own for.
func (p *patch) more() *Settings {
	if p.rest == nil {
		p.rest = &Settings{}
	}
	return p.rest
}

// put takes those of given from s.
func (p *patch) put(given field, s *Settings) {
	p.given |= given
	p.address, p.port, p.user = s.Address, s.Port, s.User
	if given&^fieldsApart != 0 {
		rest := *s
		p.rest = &rest
	}
}

// own gives p with no other vars than it says itself.
func (p *patch) own() *patch {
	if p == nil || !p.widened {
		return p
	}
	out := *p
	out.widened, out.vars = false, make(map[string]any)
	for _, k := range p.keys {
		if !k.setting {
			out.vars[k.name] = p.vars[k.name]
		}
	}
	return &out
}

func set[T any](p *patch, f field, to *T, from T) {
	if p.given&f != 0 {
		*to = from
	}
}
