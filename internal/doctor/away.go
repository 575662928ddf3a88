package doctor

import "fleet/scheduler"

// awayFixes say what to do about a host that cannot be reached, by the kind of
// the cause, and for timeouts by its stage.
var awayFixes = map[string]string{
	"dns":             "set address in hosts.yaml, or correct the name; `fleet hosts PATTERN --output json` shows the address that is used",
	"refused":         "start the SSH server there, or set the right port: -p, or port in hosts.yaml",
	"no_route":        "look at the network of this machine and the host; where a jump host leads there, set jump in hosts.yaml",
	"timeout/dns":     "look at the resolver of this machine, or set address in hosts.yaml to do without it",
	"timeout/tcp":     "see whether the host is up and whether a firewall drops packets to its SSH port",
	"timeout/banner":  "the port accepts and nobody speaks: look at the load of the host, and at MaxStartups in its sshd_config",
	"timeout/kex":     "look at the load of the host, and for a path that drops large packets (MTU): ping -M do -s 1400 HOST",
	"timeout/auth":    "look at PAM, LDAP and UseDNS on the host, and whether the agent here waits for somebody (ssh-add -l)",
	"timeout/channel": "logged in, but no session opens: look at the load of the host and at sshd's log there",
	"throttled":       "wait a while, then lower -f; raise MaxStartups, or look at PerSourcePenalties, in the host's sshd_config",
	"kex_mismatch":    "update the host's SSH server: it offers only algorithms that are not safe any more",
	"hostkey_unknown": "compare the fingerprint with the host's owner, then approve it: fleet trust scan, fleet trust approve",
	"hostkey_changed": "find out whether the host was set up anew; if so: fleet trust remove, then fleet trust approve; if not, somebody may sit in between",
	"hostkey_revoked": "do not log in: known_hosts or RevokedHostKeys says never to trust this key; the host needs a new one",
	"auth":            "check the user (-u) and the key (--key; ssh-add -l lists the agent's), and authorized_keys and sshd's log on the host",
	"session_limit":   "raise MaxSessions in the host's sshd_config (its default is 10)",
	"conn_lost/tcp":   "run the proxy command by hand, or log in to the jump host: the way to the host ended, not the host's own server",
	"conn_lost":       "look at sshd's log on the host for why it ended the connection",
	"permission":      "the account or its key may run no commands: look at ForceCommand, restrict and the login shell on the host",
	"protocol":        "set the right port (-p, or port in hosts.yaml): what answers there does not speak SSH as it should",
	"internal":        "this is a fault of fleet itself: please report it with the text above",
}

// awayProblem is the problem of a host without a connection.
func awayProblem(c scheduler.Cause, detail string) Problem {
	key := string(c.Kind)
	if c.Kind == scheduler.KindTimeout || awayFixes[key+"/"+string(c.Stage)] != "" {
		key += "/" + string(c.Stage)
	}
	fix := awayFixes[key]
	if fix == "" {
		fix = "look at the host's console and at sshd's log there"
	}
	return Problem{Kind: string(c.Kind), Text: c.Text, Detail: detail, Fix: fix}
}

// stageFix says what to do about a stage that ended badly on a living connection.
func stageFix(stage string, c scheduler.Cause) string {
	switch {
	case stage == "sftp" && c.Kind == scheduler.KindPermission:
		return "add `Subsystem sftp internal-sftp` to the host's sshd_config; dropbear needs sftp-server installed"
	case stage == "sftp" && c.Kind == scheduler.KindProtocol:
		return "install sftp-server on the host, and let the login shell's profile print nothing; `Subsystem sftp internal-sftp` starts no shell"
	case c.Kind == scheduler.KindTimeout && stage == "shell":
		return "log in and run it by hand: a dead network mount, name service or profile holds it up"
	case c.Kind == scheduler.KindSessionLimit, c.Kind == scheduler.KindPermission:
		return awayFixes[string(c.Kind)]
	case stage == "shell":
		return "give the account a POSIX shell (chsh), and look at ForceCommand and authorized_keys for a command= there"
	}
	return "look at the load of the host and at sshd's log there"
}
