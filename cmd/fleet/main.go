// Command fleet runs commands over any number of SSH hosts, from one binary,
// with nothing installed on the hosts.
//
// One file a command: run.go, hosts.go, lab.go, demo.go, version.go; each has
// new<Name>Command, which declares flags and help, and run<Name>, which does
// the work. root.go puts them together, exit.go says which exit status an error
// has, inventory.go finds the inventory, env.go knows the terminal,
// prompt.go asks for secrets, signals.go turns Ctrl-C into stops.
package main

import (
	"os"
)

func main() {
	os.Exit(fleet())
}

// fleet is the whole program but for ending the process.
func fleet() int {
	e := processEnv()
	return e.execute(os.Args[1:])
}
