package main

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// row is one figure. A row without a target is there to be compared with.
type row struct {
	scenario, figure, value, target string
	met                             bool
}

func (r row) verdict() string {
	switch {
	case r.target == "":
		return ""
	case r.met:
		return "met"
	}
	return "not met"
}

// add keeps a row and prints it.
func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	fmt.Fprintf(b.out, "  %s  %s  %s  %s\n", pad(r.figure, 60), pad(r.value, 27), pad(r.target, 10), r.verdict())
}

// pad fills s up to n characters.
func pad(s string, n int) string {
	return fmt.Sprintf("%s%*s", s, max(0, n-utf8.RuneCountInString(s)), "")
}

// sheet adds rows of one scenario.
type sheet struct {
	b    *bench
	name string
}

func (b *bench) sheet(scenario string) sheet { return sheet{b, scenario} }

// note adds a figure without a target.
func (s sheet) note(figure, format string, args ...any) {
	s.b.add(row{scenario: s.name, figure: figure, value: fmt.Sprintf(format, args...)})
}

// ratio adds a ratio that should not exceed limit.
func (s sheet) ratio(figure string, r ratio, limit float64) {
	s.b.add(row{s.name, figure, r.String(), fmt.Sprintf("≤ %.4g", limit), r.median <= limit})
}

// time adds a duration that should not exceed limit.
func (s sheet) time(figure string, d, limit time.Duration) {
	s.b.add(row{s.name, figure, short(d), "≤ " + short(limit), d <= limit})
}

// memory adds a number of bytes that should not exceed limit.
func (s sheet) memory(figure string, n, limit int64) {
	s.b.add(row{s.name, figure, size(n), "≤ " + size(limit), n <= limit})
}

// process adds what one contender cost in all; hosts is how many it served.
func (s sheet) process(who string, c series, hosts int) {
	s.note(who+": wall, CPU a host, peak RSS", "%s, %.2f ms, %s",
		short(c.wall()), c.median(cpu)*1000/float64(hosts), peak(c.rss()))
}

// short is a duration with three digits that count, as 812ms, 1.25s, 43.1ms.
func short(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case d >= time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Second:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.3gs", d.Seconds())
	case ms >= 100:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.3gms", ms)
}

// size is a size in powers of 1024.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.0f GB", float64(n)/(1<<30))
	case n >= 1<<30:
		return fmt.Sprintf("%.3g GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.3g MB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.3g KB", float64(n)/(1<<10))
}

// peak is a size as peakRSS gives it: what lies under this process's own is
// only known to be no more than that.
func peak(n int64) string {
	if floor := ownPeak(); n <= floor {
		return "≤ " + size(floor)
	}
	return size(n)
}

// thousands writes a count as 1,000.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}
