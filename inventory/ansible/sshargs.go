package ansible

import (
	"strings"

	"fleet/inventory"
)

// letterSettings are the settings that options of ssh(1) stand for.
var letterSettings = map[byte]string{'J': "jump", 'i': "key", 'p': "port", 'l': "user"}

// keywordSettings are the settings that keywords of ssh_config(5) stand for, in
// small letters as all keywords here.
var keywordSettings = map[string]string{
	"proxyjump": "jump", "proxycommand": "proxy_command", "identityfile": "key", "certificatefile": "certificate",
	"port": "port", "user": "user", "hostname": "address", "connecttimeout": "connect_timeout", "userknownhostsfile": "known_hosts",
}

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
	if setting, known := letterSettings[letter]; known {
		a.set(setting, value)
		return
	}
	if letter != 'o' {
		a.warn("-" + string(letter))
		return
	}
	cut := strings.IndexAny(value, "= \t")
	if cut < 0 {
		a.warn("-o " + value)
		return
	}
	a.keyword(value[:cut], strings.Trim(strings.TrimLeft(value[cut:], " \t="), `"`))
}

// keyword takes an option of -o.
func (a *sshArgs) keyword(name, value string) {
	key := strings.ToLower(name)
	setting, known := keywordSettings[key]
	switch {
	case key == "userknownhostsfile" && value == "/dev/null": // host keys are checked all the same
		a.warn(name)
	case known:
		a.set(setting, value)
	case !noEffect[key]:
		a.warn(name)
	}
}
