package scheduler_test

import (
	"strings"
	"testing"

	"fleet/scheduler"
)

// FuzzParseMaxFail checks that what is read can be written and read again, and
// that more failures never exceed a budget less.
func FuzzParseMaxFail(f *testing.F) {
	for _, s := range []string{"", "0", "3", "007", "10%", "0.5%", "12.25%", "100%", "100.01%", "-1", "1e3", "٣", "9999999999"} {
		f.Add(s, 3, 100)
	}
	f.Fuzz(func(t *testing.T, s string, failures, total int) {
		b, err := scheduler.ParseMaxFail(s)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "max-fail ") {
				t.Errorf("%q: error %q", s, err)
			}
			return
		}
		again, err := scheduler.ParseMaxFail(b.String())
		if err != nil || again != b {
			t.Errorf("%q: %v, again %v, error %v", s, b, again, err)
		}
		failures, total = failures&0xfffffff, total&0xfffffff
		if b.Exceeded(failures, total) && !b.Exceeded(failures+1, total) {
			t.Errorf("%q: exceeded by %d of %d, but not by one more", s, failures, total)
		}
		if b.Exceeded(0, total) {
			t.Errorf("%q: exceeded by no failure", s)
		}
	})
}

// FuzzParseSerial checks the same of batch sizes, and that no batch is empty
// or larger than it says.
func FuzzParseSerial(f *testing.F) {
	for _, s := range []string{"", "1", "1,5%,25%,100%", "1, 2", "0.01%", "0", ",", "1,,2", "100.00%"} {
		f.Add(s, 1000)
	}
	f.Fuzz(func(t *testing.T, s string, total int) {
		batches, err := scheduler.ParseSerial(s)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "serial ") {
				t.Errorf("%q: error %q", s, err)
			}
			return
		}
		total &= 0xfffffff
		var words []string
		for _, b := range batches {
			words = append(words, b.String())
			n := b.Size(total)
			if n < 1 || strings.HasSuffix(b.String(), "%") && n > max(1, total) {
				t.Errorf("%q: batch %v of %d hosts has %d", s, b, total, n)
			}
		}
		again, err := scheduler.ParseSerial(strings.Join(words, ","))
		if err != nil || len(again) != len(batches) {
			t.Fatalf("%q: %v, again %v, error %v", s, batches, again, err)
		}
		for i := range again {
			if again[i] != batches[i] {
				t.Errorf("%q: %v, again %v", s, batches, again)
			}
		}
	})
}

// FuzzParseStraggler checks that what is read can be written and read again.
func FuzzParseStraggler(f *testing.F) {
	for _, s := range []string{"", "30s", "1h2m3s", "p95x3", "p95×3", "p50x1.25", "p100x1000", "p0x1", "-1s", "p95xNaN", "p95x1e2", "0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rule, err := scheduler.ParseStraggler(s)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "straggler-after ") {
				t.Errorf("%q: error %q", s, err)
			}
			return
		}
		again, err := scheduler.ParseStraggler(rule.String())
		if err != nil || again != rule {
			t.Errorf("%q: %+v, again %+v, error %v", s, rule, again, err)
		}
		if rule.Percent > 0 && (rule.Percent > 100 || rule.Factor < 1 || rule.Factor > 1000) || rule.After < 0 {
			t.Errorf("%q: %+v", s, rule)
		}
	})
}
