// Package shell is the core of the broadcast shell: what a line that the user
// types means, and what a session remembers between lines. It knows neither the
// terminal nor the connections: the command line brings both.
//
//	parse.go     a line becomes an Action
//	session.go   the target set, the folder, what the last command came to
//	dir.go       :cd, and how a command is sent in its folder
//	copy.go      :push and :pull
//	script.go    :script and :stdin
//	status.go    what :status says
//	source.go    lines from a pipe, with their numbers
//	keys.go      what a terminal sends, made fit for the line editor
//	complete.go  the rest of a word or a file's name, for the Tab key
//	history.go   lines of earlier sessions, in a file
package shell
