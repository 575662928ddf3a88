// Package doctor examines hosts: how they are reached, what stands in the way
// of running commands and moving files there, and what to do about it.
//
// Run examines hosts over one connection each, within limits, and gives a
// Report. Nothing is changed on a host, and nothing but `sudo -n true`, which
// does nothing, is done with another user's rights.
//
//	host.go     what is found out about a host: its facts and problems
//	run.go      all hosts, by the scheduler
//	stages.go   the stages of one host's examination, in order
//	script.go   what is asked of the host's shell, and how the answers are read
//	hostkey.go  by what a host key is known
//	checks.go   from facts to problems: the table of checks
//	away.go     the fix lines for hosts that cannot be reached
//	text.go     the report as people read it
package doctor
