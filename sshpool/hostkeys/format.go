package hostkeys

import (
	"errors"

	"golang.org/x/crypto/ssh"
)

// Line gives the line of a known_hosts file, without its end, that says that
// key belongs to the host at addr: "web1 ssh-ed25519 AAAA...". Hashed hides the
// name, by HMAC-SHA1 with a salt of its own, as HashKnownHosts of ssh_config(5)
// does. Of a certificate the certified key is meant. It is an error if the name
// could mean other hosts, such as a pattern, or could not be read back.
func Line(addr string, key ssh.PublicKey, hashed bool) (string, error) {
	name, _ := lineName(addr)
	if !isWritable(name) {
		return "", errors.New("the host's name cannot be written in a known_hosts file")
	}
	if hashed {
		name = hashName(name)
	}
	return name + " " + authorizedKey(certified(key)), nil
}
