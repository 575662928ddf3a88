package inventory

import "fmt"

// Saying is one value that the inventory gives for a host, and who gives it.
type Saying struct {
	Name    string // of the setting, or of the variable
	Setting bool   // whether it is one of Settings
	Value   any    // settings as the field of Settings has them, variables as Host.Vars
	By      string // "defaults", "group web" or "host web01"
	At      Position
}

// Says gives all that the inventory says for the host, weakest first: of several
// with the same Name and Setting the last is what counts, and of the settings
// jump and proxy_command the last of both. A Host that was not made by Load,
// Merge or Parse has none.
func (h *Host) Says() []Saying {
	if h.inv == nil {
		return nil
	}
	b := h.inv.from
	var out []Saying
	state := b.members.state[h.index]
	groups := b.ranked(b.members.groups(state), b.parents())
	b.saidOfGroups(groups, func(g *Group, p *patch) {
		by := "defaults"
		if g != nil {
			by = "group " + g.Name
		}
		out = p.says(out, by, "")
	})
	for id := range b.entriesOf(h.index) {
		address := ""
		if b.entries[id].addresses != nil {
			address = b.address[h.index]
		}
		out = b.entries[id].patch.says(out, "host "+h.Name, address)
	}
	return out
}

// says adds what p says; address stands for a range of them.
func (p *patch) says(out []Saying, by, address string) []Saying {
	if p == nil {
		return out
	}
	settings := p.settings()
	for _, k := range p.keys {
		s := Saying{Name: k.name, Setting: k.setting, By: by, At: Position{p.file, int(k.line), int(k.column)}}
		if k.setting {
			f, _ := fieldByName(k.name)
			if s.Value = settings.value(f); f == fieldAddress && address != "" {
				s.Value = address
			}
			for i := range p.templates {
				if p.templates[i].setting == f && !f.isSecret() {
					s.Value = p.templates[i].text
				}
			}
		} else {
			s.Value = p.vars[k.name]
		}
		out = append(out, s)
	}
	return out
}

// value gives one setting.
func (s *Settings) value(f field) any {
	switch f {
	case fieldAddress:
		return s.Address
	case fieldPort:
		return s.Port
	case fieldUser:
		return s.User
	case fieldKey:
		return s.Key
	case fieldCertificate:
		return s.Certificate
	case fieldJump:
		return s.Jump
	case fieldProxyCommand:
		return s.ProxyCommand
	case fieldBecome:
		return s.Become
	case fieldBecomeUser:
		return s.BecomeUser
	case fieldBecomeMethod:
		return s.BecomeMethod
	case fieldHostKey:
		return s.HostKey
	case fieldKnownHosts:
		return s.KnownHosts
	case fieldConnectTimeout:
		return s.ConnectTimeout
	case fieldShell:
		return s.Shell
	case fieldBecomePassFile:
		return s.BecomePassFile
	case fieldBecomePassCommand:
		return s.BecomePassCommand
	case fieldPassword:
		return s.Password
	case fieldBecomePassword:
		return s.BecomePassword
	}
	panic(fmt.Sprintf("setting %#x", uint32(f)))
}
