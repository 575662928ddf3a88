package sshpool

import (
	"testing"

	"fleet/internal/sshtest"
)

// BenchmarkSupervise is what the supervisor costs a command on a kept connection
// to a real server, whose login shell is dash.
func BenchmarkSupervise(b *testing.B) {
	for name, start := range realServers() {
		s := start(b, sshtest.Shell("/bin/dash"))
		c := mustDial(b, realTarget(b, s))
		for _, how := range []string{"raw", "supervised"} {
			b.Run(name+"/"+how, func(b *testing.B) {
				cmd := Command{Text: "true"}
				if how == "supervised" {
					cmd.Supervise = &Supervision{}
				}
				for b.Loop() {
					if _, err := c.Run(b.Context(), cmd); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
