package scheduler

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// amount is a number of hosts or a percentage of the plan's total. Percentages
// are kept in hundredths of a percent, so that all arithmetic is exact.
type amount struct {
	n       int
	percent bool
}

func parseAmount(s string) (amount, error) {
	digits, percent := strings.CutSuffix(s, "%")
	if !percent {
		n, err := parseDigits(s)
		if err != nil {
			return amount{}, err
		}
		return amount{n: n}, nil
	}
	whole, frac, dotted := strings.Cut(digits, ".")
	n, err := parseDigits(whole)
	if err != nil {
		return amount{}, err
	}
	hundredths := 0
	if dotted {
		if len(frac) > 2 {
			return amount{}, errors.New("more than two decimals")
		}
		if hundredths, err = parseDigits((frac + "0")[:min(2, len(frac)+1)]); err != nil || frac == "" {
			return amount{}, errors.New("not a percentage")
		}
	}
	if n > 100 || n == 100 && hundredths > 0 {
		return amount{}, errors.New("more than 100%")
	}
	return amount{n: n*100 + hundredths, percent: true}, nil
}

// parseDigits is strconv.Atoi without signs.
func parseDigits(s string) (int, error) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, errors.New("not a number")
		}
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("number too large")
	}
	if err != nil {
		return 0, errors.New("not a number")
	}
	return int(n), nil
}

func (a amount) String() string {
	switch {
	case !a.percent:
		return strconv.Itoa(a.n)
	case a.n%100 == 0:
		return fmt.Sprintf("%d%%", a.n/100)
	default:
		return strings.TrimSuffix(fmt.Sprintf("%d.%02d", a.n/100, a.n%100), "0") + "%"
	}
}

// Budget is how many hosts of a run may fail: a count, or a percentage of the
// plan's Total. Failed, unreachable and lost hosts count; canceled and skipped
// ones do not. The zero Budget is unlimited; "0" allows no failure at all.
type Budget struct {
	amount
	set bool
}

// ParseMaxFail reads a budget: "3", "10%" or "0.5%" (at most two decimals). An
// empty string is no budget.
func ParseMaxFail(s string) (Budget, error) {
	if s == "" {
		return Budget{}, nil
	}
	a, err := parseAmount(s)
	if err != nil {
		return Budget{}, fmt.Errorf("max-fail %q: %w", s, err)
	}
	return Budget{amount: a, set: true}, nil
}

// String is the budget as ParseMaxFail reads it.
func (b Budget) String() string {
	if !b.set {
		return ""
	}
	return b.amount.String()
}

// Exceeded says whether so many failures are more than the budget allows in a
// run of total hosts. A percentage is exceeded when failures make up more of
// the total than that: 10% of 25 hosts allows 2 failures, the third exceeds it.
func (b Budget) Exceeded(failures, total int) bool {
	switch {
	case !b.set:
		return false
	case b.percent:
		return int64(failures)*10000 > int64(b.n)*int64(total)
	default:
		return failures > b.n
	}
}
