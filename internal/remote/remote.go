// Package remote makes the command line that a host's login shell is sent, so
// that the command can be followed from its first byte to its last process. It
// knows neither connections nor schedulers: from what is asked for to text, and
// from what comes back to what it means.
//
//	quote.go     words that shells read as they are
//	line.go      a Spec and what is sent for it
//	script.go    the POSIX sh that stands in front of a command on its host
//	follow.go    the host's output: noise, marker, command, report
//	look.go      the question what is left of a command
//
// What is sent for a command is
//
//	exec /bin/sh -c 'eval "$2"' COMMAND SCRIPT ARG...
//
// The script sees to it that the command leads a session, leaves a guard behind,
// tells on both output streams that the command's own output begins, and becomes
// the command (exec), whose exit status or signal the SSH server then reports by
// itself. Nothing stands between the command and the server, and nothing is waited
// for: no round trip is added. What a host has to do beside the command is to start
// a shell, to fork twice for the guard, and to start setsid where the server has
// not made the shell the leader of a session; BenchmarkSupervise in sshpool
// measures that.
//
// The guard is a child of the script that reads the channel's standard input, and
// does nothing more as long as that stays open. At a line there, or at its end
// (the user gave up, the connection is gone), it ends every process of the
// command: TERM, a time of grace, KILL; then it looks, and tells what it saw.
package remote
