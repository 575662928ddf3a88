package transfer

import (
	"crypto/rand"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// TestCksum holds the checksum to the tool of that name.
func TestCksum(t *testing.T) {
	for _, n := range []int{0, 1, 5, 255, 256, 1000, 1 << 20} {
		data := make([]byte, n)
		rand.Read(data)
		tool := exec.Command("cksum")
		tool.Stdin = strings.NewReader(string(data))
		out, err := tool.Output()
		if err != nil {
			t.Fatal(err)
		}
		var c cksum
		c.add(data[:n/2])
		c.add(data[n/2:])
		if got := fmt.Sprintf("%d %d\n", c.value(), n); got != string(out) {
			t.Errorf("%d bytes: %s, the tool has %s", n, got, out)
		}
	}
}
