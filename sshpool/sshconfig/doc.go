// Package sshconfig reads ssh_config(5) files and says what they mean for a
// host, with the file and line that each value comes from.
//
// Load, Default and Parse give a Config; Config.Resolve answers a Query with a
// Resolved, whose fields are ready for use and whose Settings are what
// `ssh -G` prints. A Config is read once and asked for any number of hosts.
//
// Read in this order: lex.go splits lines into words as ssh does; parse.go
// makes files into blocks; keyword.go lists the keywords and value.go reads
// their values; match.go decides which blocks mean a host; resolve.go walks the
// blocks; token.go expands %h and ${HOME}; resolved.go is the answer, and
// algorithms.go applies its lists of algorithms to what is supported.
//
// Where this differs from ssh:
//   - an unknown keyword is a warning, not an error;
//   - commands of "Match exec" run only where the Query says how;
//   - names are not canonicalized by the resolver: CanonicalizeHostname has the
//     files read a second time and no more;
//   - criteria of Match that need a session or the network (localnetwork,
//     sessiontype, command, version) never match, and warn;
//   - names that a shell could read as more than text are refused as host or
//     user wherever they come from;
//   - %C and %j are those of OpenSSH 9.8 and later, with the jump host;
//   - the names of algorithms are not checked in reading, but by Algorithms.Apply.
package sshconfig
