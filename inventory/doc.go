// Package inventory knows the hosts, their groups and their variables, and the
// two small languages that name hosts: patterns and host sets.
package inventory
