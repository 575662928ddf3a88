package doctor

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits beyond which a fact is a problem.
const (
	slowDNS     Millis = 2000
	slowLogin   Millis = 3000
	slowProfile Millis = 2000
	wrongClock         = 5.0 // seconds
	fewBytes    int64  = 100 << 20
	fewInodes   int64  = 1000
	fewSessions        = 4
)

// check is one row of the table: what is wrong, and how to put it right.
// find tells whether the host has the problem, and what is particular to it.
// Facts that are not known are no problem.
type check struct {
	kind string
	text string
	fix  string
	find func(h *Host) (detail string, bad bool)
}

// checks in the order of a connection's life. Text is equal for equal problems,
// so that hosts fold; find gives what differs.
var checks = []check{
	{"slow_dns", fmt.Sprintf("name lookup takes more than %v s", slowDNS/1000),
		"set address in hosts.yaml, or look at the resolver of this machine",
		func(h *Host) (string, bool) {
			return slower(h.Connect, func(c *Connect) Millis { return c.DNS }, slowDNS)
		}},
	{"hostkey_unchecked", "host key is not checked, and known_hosts does not have it",
		"compare fingerprints with the host's owner and approve the key: fleet trust approve",
		func(h *Host) (string, bool) { return h.keyIs("unknown") }},
	{"hostkey_unchecked", "host key is not checked, and known_hosts has another one",
		"find out why before you log in again; fleet trust diff shows both keys",
		func(h *Host) (string, bool) { return h.keyIs("changed") }},
	{"weak_algorithm", "connection uses algorithms that are not safe any more",
		"update the host's SSH server, and take these algorithms out of your configuration",
		func(h *Host) (string, bool) {
			if h.Crypto == nil {
				return "", false
			}
			return strings.Join(h.Crypto.Weak, ", "), len(h.Crypto.Weak) > 0
		}},
	{"slow_login", fmt.Sprintf("login takes more than %v s", slowLogin/1000),
		"look at UseDNS and GSSAPIAuthentication in the host's sshd_config, and at PAM and LDAP there",
		func(h *Host) (string, bool) {
			return slower(h.Connect, func(c *Connect) Millis { return c.Auth }, slowLogin)
		}},
	{"shell_noise", "login shell writes to standard output before each command",
		"let the profile (~/.bashrc, /etc/bash.bashrc, ~/.cshrc) print for terminals only: case $- in *i*) ;; *) return ;; esac",
		func(h *Host) (string, bool) { return h.noise(func(s *Shell) Noise { return s.Stdout }) }},
	{"shell_noise_stderr", "login shell writes to standard error before each command",
		"let the profile print for terminals only, and mend what it complains about",
		func(h *Host) (string, bool) { return h.noise(func(s *Shell) Noise { return s.Stderr }) }},
	{"slow_profile", fmt.Sprintf("login shell takes more than %v s to start a command", slowProfile/1000),
		"look for what is slow in the profile (~/.bashrc, /etc/bash.bashrc): network calls, version managers",
		func(h *Host) (string, bool) {
			return slower(h.Shell, func(s *Shell) Millis { return s.Profile }, slowProfile)
		}},
	{"become", "the inventory wants another user's rights, and sudo asks for a password",
		"give the password with -K, or allow it without: NOPASSWD in sudoers(5)",
		func(h *Host) (string, bool) { return "", h.wants("sudo") && h.Become.Sudo == "password" }},
	{"become", "the inventory wants another user's rights, and sudo does not give them",
		"allow the user in sudoers(5), or take become out of the inventory",
		func(h *Host) (string, bool) {
			return "", h.wants("sudo") && (h.Become.Sudo == "denied" || h.Become.Sudo == "broken")
		}},
	{"become", "the inventory wants another user's rights, and the program for it is not installed",
		"install it, or set become_method in the inventory to one that is there",
		func(h *Host) (string, bool) {
			return "no " + h.become.method, h.wants("sudo") && h.Become.Sudo == "absent" ||
				h.wants("doas") && !h.Become.Doas || h.wants("su") && !h.Become.Su
		}},
	{"tools", "programs that fleet uses are missing",
		"install them: setsid is in util-linux, sha256sum in coreutils, tar in tar; busybox has all three",
		func(h *Host) (string, bool) {
			if h.Tools == nil {
				return "", false
			}
			return strings.Join(h.Tools.Missing, ", "), len(h.Tools.Missing) > 0
		}},
	{"tmp_noexec", "/tmp is mounted noexec",
		"remount it with exec, or run scripts through their interpreter: sh FILE",
		func(h *Host) (string, bool) { return "", h.Tmp != nil && h.Tmp.Noexec != nil && *h.Tmp.Noexec }},
	{"tmp_read_only", "/tmp cannot be written: its file system is read-only",
		"look for disk errors (dmesg), then remount it: mount -o remount,rw",
		func(h *Host) (string, bool) { return "", h.Tmp != nil && h.Tmp.ReadOnly != nil && *h.Tmp.ReadOnly }},
	{"tmp_full", fmt.Sprintf("less than %d MiB are free in /tmp", fewBytes>>20),
		"make room on the file system that holds /tmp",
		func(h *Host) (string, bool) {
			if h.Tmp == nil {
				return "", false
			}
			return size(h.Tmp.FreeBytes) + " free", h.Tmp.FreeBytes < fewBytes
		}},
	{"tmp_inodes", fmt.Sprintf("fewer than %d inodes are free in /tmp", fewInodes),
		"delete small files on the file system that holds /tmp",
		func(h *Host) (string, bool) {
			if h.Tmp == nil || h.Tmp.FreeInodes == nil {
				return "", false
			}
			return fmt.Sprintf("%d free", *h.Tmp.FreeInodes), *h.Tmp.FreeInodes < fewInodes
		}},
	{"clock", fmt.Sprintf("clock is wrong by more than %v s", wrongClock),
		"let the host keep time: systemctl status systemd-timesyncd, or chronyc tracking; the clock of this machine may be the wrong one",
		func(h *Host) (string, bool) {
			if h.Clock == nil {
				return "", false
			}
			return h.Clock.text(), math.Abs(h.Clock.Offset)-h.Clock.Error > wrongClock
		}},
	{"sessions", fmt.Sprintf("fewer than %d sessions at once on one connection", fewSessions),
		"raise MaxSessions in the host's sshd_config (its default is 10)",
		func(h *Host) (string, bool) {
			if h.Sessions == nil {
				return "", false
			}
			return fmt.Sprintf("%d", h.Sessions.Open), !h.Sessions.AtLeast && h.Sessions.Open > 0 && h.Sessions.Open < fewSessions
		}},
}

// diagnose adds the problems that the facts show.
func (h *Host) diagnose() {
	if h.become.yes && h.become.method == "" {
		h.become.method = "sudo"
	}
	for _, c := range checks {
		if detail, bad := c.find(h); bad {
			h.Problems = append(h.Problems, Problem{Kind: c.kind, Text: c.text, Detail: detail, Fix: c.fix})
		}
	}
}

// slower tells whether a part that is known took longer than limit.
func slower[T any](part *T, took func(*T) Millis, limit Millis) (string, bool) {
	if part == nil {
		return "", false
	}
	t := took(part)
	return fmt.Sprintf("%.1f s", t/1000), t > limit
}

func (h *Host) keyIs(state string) (string, bool) {
	if h.HostKey == nil || h.HostKey.State != state {
		return "", false
	}
	return h.HostKey.detail(), true
}

// maxShown is how much of a noise a problem shows, in characters, as quoted.
const maxShown = 60

func (h *Host) noise(of func(*Shell) Noise) (string, bool) {
	if h.Shell == nil {
		return "", false
	}
	n := of(h.Shell)
	text := strconv.QuoteToASCII(n.First)
	if len(text) > maxShown {
		text = text[:maxShown-1] + `"...`
	}
	return fmt.Sprintf("%d bytes: %s", n.Bytes, text), n.Bytes > 0
}

// wants says whether the inventory asks for that way to become another user,
// where the host's answer is known and its user has not the rights already.
func (h *Host) wants(method string) bool {
	return h.become.yes && h.become.method == method && h.Become != nil && !h.Become.Root
}

// text is the offset with its sign.
func (c *Clock) text() string {
	word := "ahead"
	if c.Offset < 0 {
		word = "behind"
	}
	return fmt.Sprintf("%.1f s %s", math.Abs(c.Offset), word)
}

// size is a number of bytes as people read it.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
