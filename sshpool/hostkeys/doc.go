// Package hostkeys decides whether the key that a host shows is the key of that
// host. It reads known_hosts files into an Index, checks keys against it by a
// Policy, and appends keys of new hosts where the policy says so.
//
// Read in this order: Index (index.go) is what the files say and answers
// Lookup; Policy (policy.go) turns that into a verdict, with host certificates
// in cert.go and the verdict's text in error.go; append.go adds new hosts to
// the file. line.go reads one line, match.go says which names a line means,
// hashed.go and search.go find names among hashed lines. Pins (pins.go) stand in
// for a Policy where the inventory names a host's keys. RevokedKeys (revoked.go, krl.go)
// are keys that a list of their own forbids.
//
// The rules are those of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", as OpenSSH
// applies them, and stricter in three points: a revoked key is refused for
// every name, not only for those on its line; a host that is known by a key of
// another type is changed, not new; and a host that a certificate authority
// vouches for is never accepted as new by a plain key.
//
// Addresses are "host:port" as in net.Dial. A name without a port means port
// 22. Where ssh_config sets HostKeyAlias, pass the alias in place of the address.
package hostkeys
