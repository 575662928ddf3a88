package hostkeys

import (
	"fmt"
	"os"
)

// appendChild is what the test binary does as a child process: it accepts the
// hosts shared0..49 and its own 50, whose names begin with its number. It
// prints nothing if all is well.
func appendChild(file string) int {
	own := os.Getenv("HOSTKEYS_TEST_CHILD")
	x, err := Load(file)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	p := &Policy{Mode: AcceptNew, Index: x, File: file}
	for n := range 50 {
		for _, name := range []string{"shared", "own" + own + "-"} {
			if err := p.Check(fmt.Sprintf("%s%d:22", name, n), nil, fakeKey(n)); err != nil {
				fmt.Println(err)
				return 1
			}
		}
	}
	if err := p.Unwritten(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}
