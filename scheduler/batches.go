package scheduler

import (
	"errors"
	"fmt"
	"strings"
)

// Batch is the size of one batch of a run: a count of hosts, or a percentage of
// the plan's Total, rounded up and at least one host.
type Batch struct{ amount }

// ParseSerial reads batch sizes such as "1,5%,25%,100%". An empty string is no
// batches: all hosts at once, as far as fanout allows.
func ParseSerial(s string) ([]Batch, error) {
	if s == "" {
		return nil, nil
	}
	var batches []Batch
	for word := range strings.SplitSeq(s, ",") {
		a, err := parseAmount(strings.TrimSpace(word))
		if err == nil && a.n == 0 {
			err = errors.New("a batch has at least 1 host")
		}
		if err != nil && word != s {
			err = fmt.Errorf("%q: %w", word, err)
		}
		if err != nil {
			return nil, fmt.Errorf("serial %q: %w", s, err)
		}
		batches = append(batches, Batch{a})
	}
	return batches, nil
}

// Size is the number of hosts in the batch in a run of total hosts.
func (b Batch) Size(total int) int {
	if !b.percent {
		return b.n
	}
	return max(1, int((int64(b.n)*int64(total)+9999)/10000))
}

// batches deals the hosts of a run out to its batches. The last size repeats.
type batches struct {
	sizes  []int // empty: one batch of all
	number int   // of the current batch, from 1
	left   int   // hosts the current batch may still start; -1 without end
	open   bool  // the current batch has begun and not ended
}

// begin opens the next batch and returns its size, -1 if it takes all hosts.
func (b *batches) begin() int {
	b.number++
	b.open = true
	b.left = -1
	if len(b.sizes) > 0 {
		b.left = b.sizes[min(b.number, len(b.sizes))-1]
	}
	return b.left
}

// take counts one host started.
func (b *batches) take() {
	if b.left > 0 {
		b.left--
	}
}

// full says that the current batch has no place for another host.
func (b *batches) full() bool { return b.open && b.left == 0 }
