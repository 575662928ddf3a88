package render

import (
	"cmp"
	"strings"

	"fleet/internal/event"
	"fleet/scheduler"
)

// hints say what to do about a cause, by its kind and stage ("timeout/banner") or
// else by its kind; KIND/jump is for a jump host, whose settings are its own. Exit
// statuses and signals speak for themselves.
var hints = map[string]string{
	"dns":                 "names that do not resolve: `fleet hosts HOST --output json` shows the address that is used; set address in hosts.yaml if the name is not in DNS",
	"refused":             "connection refused: nothing listens on that port, or a firewall rejects; -p or port in hosts.yaml sets another port",
	"refused/banner":      "the port takes connections and drops them at once: look at sshd's log on the host (a server that cannot start a session, hosts.deny), or it is no SSH port",
	"no_route":            "no route: the network of these hosts is down, or they are reached by a jump host only",
	"timeout/dns":         "the resolver is slow or silent: set address in hosts.yaml to do without it",
	"timeout/tcp":         "no answer at all: the host is down or a firewall drops packets; --connect-timeout gives it longer",
	"timeout/banner":      "the port accepts but no SSH server speaks: an overloaded host, or no SSH server; --connect-timeout gives it longer",
	"timeout/kex":         "the key exchange does not end: an overloaded host, or a path that drops large packets; --connect-timeout gives it longer",
	"timeout/auth":        "the login is slow (PAM, LDAP, reverse DNS on the host, or an agent that waits); --connect-timeout gives it longer",
	"timeout/channel":     "logged in, but the host opens no session: an overloaded host, or its MaxSessions is used up",
	"timeout/become":      "the host took too long to make the user another: a slow directory behind PAM, or somebody who has to confirm it; --become-timeout gives it longer, and -t where that is shorter",
	"timeout/command":     "the command ran longer than -t allows",
	"timeout/host":        "hosts that took longer than --straggler-after allows were cut; without --straggler cut they are named, and go on",
	"timeout/run":         "the run was longer than --deadline allows; -f lets more hosts run at once",
	"throttled":           "servers turn connections away (MaxStartups, PerSourcePenalties): wait a while, or lower -f; --connect-timeout 60s leaves time to try again",
	"kex_mismatch":        "these servers offer only algorithms that are not safe any more: update their SSH server",
	"hostkey_unknown":     "unknown host keys: `fleet trust approve PATTERN` shows their fingerprints, to compare with those that the hosts' owner gives you, and writes them down; --hostkeys accept-new takes them as they are, once",
	"hostkey_changed":     "changed host keys: reinstalled hosts, or somebody in between; if you know that they are right, `fleet trust remove HOST` takes the old ones out, then `fleet trust approve HOST` writes the new ones down",
	"hostkey_revoked":     "revoked host keys: known_hosts or RevokedHostKeys says never to trust these; do not log in there",
	"auth":                "logins refused: check the user (-u) and the key (--key; `ssh-add -l` lists the agent's), or give a password with -k",
	"session_limit":       "the servers allow too few sessions for one connection (MaxSessions)",
	"conn_lost":           "lost after the command was sent: look at what it did there before you repeat it",
	"conn_lost/early":     "connections that ended before the command was sent, so nothing ran: look at the proxy command or jump host on the way, else at sshd's log on the host",
	"no_status":           "servers that ended without an exit status: the command may have been killed; look before you repeat it",
	"become_password":     "the password for becoming another user was not accepted: it is the login user's for sudo and doas, the other user's for su; it was tried once",
	"become_denied":       "becoming another user is not allowed there, or takes a password (-K asks for it once), or another --become-method; a second factor cannot be answered, and needs a rule there that spares this user; where a terminal is wanted, leave --stdin out, or have a rule there that wants none",
	"remote_nospace":      "no space left on these hosts, or no inodes",
	"permission":          "these hosts do not run commands for this user: a restricted account or key?",
	"not_found/command":   "look at --shell: it is a program of the host, by its path or by a name that is found there",
	"permission/command":  "look at --cwd: the folder is the host's, and the user of the command must be able to enter it",
	"permission/transfer": "the login user may not read or write there",
	"conn_lost/transfer":  "connections that ended while files were moved: each file is the old one or the new one, and the next run goes on from there",
	"timeout/transfer":    "moving the file took longer than allowed; the next run goes on where this one was stopped",
	"quota":               "the user's quota on these hosts is used up",
	"read_only":           "that file system is mounted read-only there",
	"not_found":           "look at the name: it is the host's; a path that does not begin with a slash begins at the home of the login user",
	"exists":              "there is a file where none may be: move it away, or allow it to be replaced",
	"name_too_long":       "no file on these hosts can have such a name",
	"is_folder":           "there is a folder of that name: name the file that is meant",
	"not_folder":          "there is a file where a folder is wanted",
	"unsupported":         "the SFTP server of these hosts is too old, or kept small, for that",
	"remote":              "these hosts say only that it did not work: look at their system log",
	"too_large":           "--max-bytes allows more from a host; how large a file may be there is the host's own limit (ulimit -f)",
	"local":               "the trouble is with a file on this machine",
	"mismatch":            "what arrived is not what was sent, so it was thrown away: a bad disk, bad memory, or somebody else wrote to it",
	"changed":             "the file changed while it was read: move a copy that nobody writes to",
	"no_shell":            "--raw sends a command as it is, to devices and accounts without a POSIX shell; moving files takes one with find and tar, or SFTP",
	"conflict":            "something of another kind has that name: is it the right place? Within folders that are copied, --delete has it replaced",
	"unsafe":              "what was refused is told above; --exclude leaves it out, and --links skip leaves out links",
	"max_delete":          "--dry-run shows what would be deleted; --max-delete N allows more",
	"protocol":            "what answers there does not speak SSH as it should: is it the right port? -p or port in hosts.yaml sets another",
	"protocol/channel":    "what these hosts answer is not what they were asked for: a login file that writes to every session, or a subsystem that is something else; 'fleet doctor HOST' looks",
	"protocol/transfer":   "what these hosts answer is no file transfer: a login file that writes to every session, or a server that ended in the middle; 'fleet doctor HOST' looks",
	"unkilled":            "kill unconfirmed: fleet did not see the command end on the host, so that it may still run: look there before you repeat it",
	"internal":            "a fault of fleet itself: please report it with the text above",

	"auth/jump":            "a jump host refuses the login: -u and -k are not for it; its user and key are the inventory's or ssh_config's, -J USER@HOST names another user, and --key is tried there where it has no key of its own",
	"refused/jump":         "nothing listens on the jump host's port, or a firewall rejects: -p is not for it; the inventory, ssh_config or -J HOST:PORT sets another port",
	"protocol/jump":        "what answers at the jump host does not speak SSH as it should: is it the right port? -p is not for it; the inventory, ssh_config or -J HOST:PORT sets another",
	"hostkey_unknown/jump": "the key of a jump host is not known: approve that one first, by its name in the inventory: `fleet trust approve HOST`; --hostkeys accept-new takes it as it is, once",
}

// hintFor is the hint for a cause, empty if there is none.
func hintFor(c scheduler.Cause) string {
	own := hints[string(c.Kind)+"/"+string(c.Stage)]
	if strings.HasPrefix(c.Text, "jump host ") { // as sshpool names it
		own = cmp.Or(own, hints[string(c.Kind)+"/jump"])
	}
	switch {
	case own != "" || c.Kind == scheduler.KindTimeout:
		return own
	case c.Kind == scheduler.KindConnLost && c.Stage != "" && c.Stage != scheduler.StageCommand:
		return hints["conn_lost/early"]
	}
	return hints[string(c.Kind)]
}

// Hint is what to do about one host's cause, empty if there is nothing to say.
func Hint(kind scheduler.Kind, stage scheduler.Stage) string {
	return hintFor(scheduler.Cause{Kind: kind, Stage: stage})
}

// appendHints writes each hint that applies once.
func (b *base) appendHints(p []byte, causes []foldedCause) []byte {
	seen := make(map[string]bool)
	tell := func(hint string) {
		if hint != "" && !seen[hint] {
			seen[hint] = true
			p = append(p, b.wrap(b.o.Prog+": hint: ", hint)...)
		}
	}
	for _, c := range causes {
		h := hintFor(c.cause)
		switch c.outcome { // whatever the cause: what may have run matters most
		case scheduler.Lost:
			if c.cause.Kind == scheduler.KindTimeout && c.cause.Stage == scheduler.StageBecome {
				tell(h)
			}
			h = hints["conn_lost"]
		case scheduler.Skipped, scheduler.Canceled:
			h = ""
		}
		if b.tally.files.any && (c.outcome == scheduler.Lost || c.outcome == scheduler.Canceled) {
			h = hints["conn_lost/transfer"]
		}
		tell(h)
		if c.kill == event.KillUnconfirmed {
			tell(hints["unkilled"])
		}
	}
	return p
}

// wrap is text behind prefix, on a terminal broken between words.
func (b *base) wrap(prefix, text string) string {
	if !b.o.ErrTerminal {
		return prefix + text + "\n"
	}
	return Wrap(prefix, text, b.o.Width())
}

// Wrap is text behind prefix as lines of at most width columns, broken between
// words and with what follows the first line indented by the prefix. What fits
// stays as it is, and a word wider than a line is not broken.
func Wrap(prefix, text string, width int) string {
	return wrapAt(prefix, text, len(prefix)-1, max(2*len(prefix), width))
}

// wrapAt is Wrap with lines after the first indented by indent columns and the
// blank between words.
func wrapAt(prefix, text string, indent, width int) string {
	if columns(prefix)+columns(text) <= width {
		return prefix + text + "\n"
	}
	var p strings.Builder
	start := strings.TrimSuffix(prefix, " ")
	p.WriteString(start)
	col := columns(start)
	for word := range strings.FieldsSeq(text) {
		w := columns(word)
		if col+1+w > width && col > indent {
			p.WriteString("\n" + strings.Repeat(" ", indent))
			col = indent
		}
		p.WriteString(" " + word)
		col += 1 + w
	}
	p.WriteByte('\n')
	return p.String()
}
