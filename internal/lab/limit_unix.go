//go:build unix

package lab

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// raiseFileLimit makes room for a listener per host and as many connections as
// the hard limit allows; it is an error if not even the listeners fit.
func raiseFileLimit(hosts int) error {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("lab: limit of open files: %w", err)
	}
	if lim.Cur < lim.Max {
		// Some systems name a hard limit that they do not grant: then the
		// soft one stands.
		raised := unix.Rlimit{Cur: lim.Max, Max: lim.Max}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &raised) == nil {
			lim = raised
		}
	}
	const spare = 64 // files of the process itself
	if uint64(lim.Cur) < uint64(hosts)+spare {
		return fmt.Errorf("lab: %d hosts need more open files than the limit of %d allows (ulimit -n)", hosts, lim.Cur)
	}
	return nil
}
