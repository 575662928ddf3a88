package ansible

import (
	"strings"

	"fleet/inventory"
)

// noEffect are options of ssh that fleet has its own ways for, or that change
// nothing that can be seen.
var noEffect = map[string]bool{
	"controlmaster": true, "controlpersist": true, "controlpath": true, "loglevel": true, "batchmode": true, "requesttty": true,
	"preferredauthentications": false, "tcpkeepalive": true, "passwordauthentication": false, "compression": true, "addkeystoagent": true,
}

const noteArgs = "options of ssh that have no effect here: %s"

// sshArgs takes from arguments for ssh what fleet has settings for.
func (f *file) sshArgs(e inventory.Entry, name string, value any, at inventory.Mark) {
	text, ok := plain(value)
	if !ok {
		return
	}
	if isTemplate(text) {
		f.noteTemplate(name, value, at)
		return
	}
	words, err := splitWords(text, nil)
	if err != nil {
		f.bad(at, text, name+": "+err.Error(), "")
		return
	}
	a := &sshArgs{f: f, e: e, name: name, at: at}
	for i := 0; i < len(words); i++ {
		w := words[i].text
		if len(w) < 2 || w[0] != '-' {
			a.warn(w)
			continue
		}
		rest := w[2:]
		if strings.IndexByte("JoipFlLRDcmbBEeIOQSWw", w[1]) < 0 {
			if strings.Trim(w[1:], "CqTtvn46xk") != "" {
				a.warn(w)
			}
			continue
		}
		if rest == "" && i+1 < len(words) {
			i++
			rest = words[i].text
		}
		a.option(w[1], rest)
	}
}

// sshArgs is one variable with arguments for ssh.
type sshArgs struct {
	f    *file
	e    inventory.Entry
	name string
	at   inventory.Mark
}

func (a *sshArgs) warn(what string) {
	a.f.Notes.add(a.f.c.File(), a.at, noteArgs, "settings that hold for ssh too can go into ssh_config", short(what))
}

func (a *sshArgs) set(setting, text string) {
	if err := a.e.Setting(setting, a.at, text); err != nil {
		a.f.fail(named(err, a.name))
	}
}

func (a *sshArgs) option(letter byte, value string) {
	switch letter {
	case 'J':
		a.set("jump", value)
	case 'i':
		a.set("key", value)
	case 'p':
		a.set("port", value)
	case 'l':
		a.set("user", value)
	case 'o':
		cut := strings.IndexAny(value, "= \t")
		if cut < 0 {
			a.warn("-o " + value)
			return
		}
		a.keyword(value[:cut], strings.Trim(strings.TrimLeft(value[cut:], " \t="), `"`))
	default:
		a.warn("-" + string(letter))
	}
}

// keyword takes an option of -o.
func (a *sshArgs) keyword(name, value string) {
	switch key := strings.ToLower(name); key {
	case "proxyjump":
		a.set("jump", value)
	case "proxycommand":
		a.set("proxy_command", value)
	case "identityfile":
		a.set("key", value)
	case "certificatefile":
		a.set("certificate", value)
	case "port":
		a.set("port", value)
	case "user":
		a.set("user", value)
	case "hostname":
		a.set("address", value)
	case "connecttimeout":
		a.set("connect_timeout", value)
	case "userknownhostsfile":
		if value != "/dev/null" {
			a.set("known_hosts", value)
		} else {
			a.warn(name)
		}
	default:
		if !noEffect[key] {
			a.warn(name)
		}
	}
}
