package engine

import (
	"os"
	"testing"
	"time"
)

// soak says that the figures of the full size are wanted.
func soak() bool { return os.Getenv("FLEET_SOAK") != "" }

// TestAllHostsWriteAtOnce has every host write more than anybody wants, all at
// the same time: memory stays bounded, in each way of showing it.
func TestAllHostsWriteAtOnce(t *testing.T) {
	hosts, command, perHost := 200, "bytes 3M", int64(3<<20)
	if soak() {
		hosts, command, perHost = 1000, "bytes 50M", 50<<20
	}
	leaves(t)
	dir := startLab(t, hosts)
	for _, mode := range []string{"group", "live"} {
		t.Run(mode, func(t *testing.T) {
			m := measure(t, runTask{Dir: dir, Command: command, Fanout: hosts, MaxOutput: 1 << 20, Mode: mode})
			if m.OK != hosts || m.Bytes != int64(hosts)*perHost || m.Cut != hosts || m.Shown != int64(hosts)<<20 {
				t.Errorf("%d of %d ok, %d cut, %d lingering, %d bytes, %d shown: %v", m.OK, hosts, m.Cut, m.Lingering, m.Bytes, m.Shown, m.Causes)
			}
			if m.Peak > 512<<20 {
				t.Errorf("held %d MiB", m.Peak>>20)
			}
		})
	}
}

// TestOneHostWritesWithoutMeasure takes much from one host, whole and cut.
func TestOneHostWritesWithoutMeasure(t *testing.T) {
	command, all := "bytes 192M", int64(192<<20)
	if soak() {
		command, all = "bytes 10G", 10<<30
	}
	leaves(t)
	dir := startLab(t, 1)
	for name, limit := range map[string]int64{"whole": 1 << 40, "cut": 10 << 20} {
		for _, mode := range []string{"group", "live"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				little := measure(t, runTask{Dir: dir, Command: "bytes 1M", Fanout: 1, MaxOutput: limit, Mode: mode})
				m := measure(t, runTask{Dir: dir, Command: command, Fanout: 1, MaxOutput: limit, Mode: mode, Timeout: time.Hour})
				cut := 0
				if limit < all {
					cut = 1
				}
				if m.OK != 1 || m.Bytes != all || m.Shown != min(limit, all) || m.Cut != cut {
					t.Errorf("%d ok, %d cut, %d bytes, %d shown: %v", m.OK, m.Cut, m.Bytes, m.Shown, m.Causes)
				}
				// Live memory is 5 MiB; the rest is garbage, of a packet each 60 µs.
				if m.Peak > little.Peak+128<<20 {
					t.Errorf("held %d MiB, for 1 MiB of output %d", m.Peak>>20, little.Peak>>20)
				}
			})
		}
	}
}
