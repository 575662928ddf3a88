// Package sshpool makes SSH connections and runs commands over them, for one
// host or for many thousands at once. It adds to golang.org/x/crypto/ssh what
// a program that must not hang needs: a limit for every stage, contexts in
// every call, typed errors, keepalive, and care not to be banned by the hosts.
//
// Start here:
//
//   - [Dial] connects and logs in to one [Target]; [Conn.Exec] runs a command,
//     [Conn.Shell] opens a shell, on a terminal or not; [Conn.Subsystem] gives
//     the stream to a subsystem.
//   - [Auth] holds the keys, the agent and the passwords, shared by all targets.
//   - [HostKeyChecker] decides about host keys; package hostkeys has one that
//     reads known_hosts files.
//   - [Pool] keeps one connection a host, shared by all who ask for it, and
//     paces handshakes; [Poller] runs the ops of a scheduler over a pool.
//   - [Conn.Files] moves whole files, checked and resumed; [Conn.SFTP] is a client
//     of the host's SFTP server for all else.
//   - [Conn.Dial] and [Conn.Listen] carry other connections; Target.Jump and
//     Target.ProxyCommand reach hosts through others.
//   - [Error] says what went wrong, in which [Stage], and whether a command had
//     been sent by then.
//
// The files follow a connection's life: target.go, resolve.go, dial.go, wire.go
// (bytes up to the version line), handshake.go; auth.go, methods.go (what is
// tried), keys.go, certificate.go, offer.go (keys and their order), agent.go,
// touch.go, questions.go for the login; conn.go, session.go, exec.go, shell.go,
// subsystem.go, keepalive.go; sftpopen.go (how a server is found), sftplink.go
// (messages and ids), sftp.go, sftppath.go, sftpfile.go, sftpio.go (many requests
// under way), sftpmessage.go, sftperror.go; transfer.go, source.go, put.go,
// place.go, get.go, remotehash.go, remotecause.go, and transferstream.go and
// getstream.go without SFTP; forward.go, listen.go, stream.go and agentforward.go for what it carries, jump.go and proxycommand.go
// for what carries it; then pool.go, pacer.go, breaker.go for many hosts and
// poller.go for the scheduler.
//
// Who comes from Paramiko finds each part of it in docs/paramiko.md.
//
// All types are safe for concurrent use unless they say otherwise.
package sshpool
