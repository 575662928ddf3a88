package ansible

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Scalar reads a plain word of YAML 1.1 (yaml.org/type), as Ansible's parser does:
// yes and off are booleans, 010 is octal, 1:30 is 90, dates are text in ISO form.
func scalar(text string) any {
	if text == "" {
		return nil
	}
	switch c := text[0]; {
	case '0' <= c && c <= '9', c == '-', c == '+', c == '.':
		if v, ok := yamlNumber(text); ok {
			return v
		}
		if v, ok := yamlTime(text); ok {
			return v
		}
		return text
	case c == '~' && len(text) == 1:
		return nil
	}
	if len(text) > 5 {
		return text
	}
	switch text {
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false
	case "null", "Null", "NULL":
		return nil
	}
	return text
}

// yamlNumber reads integers and floats. What is too large for a type here stays text.
func yamlNumber(text string) (any, bool) {
	body, negative := text, false
	if body[0] == '-' || body[0] == '+' {
		negative, body = body[0] == '-', body[1:]
	}
	switch body {
	case ".inf", ".Inf", ".INF":
		return text, true
	case ".nan", ".NaN", ".NAN":
		return text, body == text
	case "":
		return nil, false
	}
	if strings.Trim(body, "0123456789_:") == "" || strings.HasPrefix(body, "0x") || strings.HasPrefix(body, "0b") {
		return yamlInt(text, body, negative)
	}
	return yamlFloat(text, body, negative)
}

// yamlInt reads the forms of an integer; body is without its sign.
func yamlInt(text, body string, negative bool) (any, bool) {
	base, digits := 10, body
	switch {
	case strings.HasPrefix(body, "0x"):
		base, digits = 16, body[2:]
	case strings.HasPrefix(body, "0b"):
		base, digits = 2, body[2:]
	case strings.Contains(body, ":"):
		return sexagesimal(text, body, negative)
	case body == "0":
		return int64(0), true
	case body[0] == '0':
		base, digits = 8, body[1:]
	case body[0] == '_':
		return nil, false
	}
	bare := strings.ReplaceAll(digits, "_", "")
	if digits == "" || strings.HasPrefix(bare, "+") || strings.HasPrefix(bare, "-") {
		return nil, false
	}
	if bare == "" { // 0_
		return int64(0), base == 8
	}
	sign := ""
	if negative {
		sign = "-"
	}
	if n, err := strconv.ParseInt(sign+bare, base, 64); err == nil {
		return n, true
	}
	if n, err := strconv.ParseUint(bare, base, 64); err == nil && !negative {
		return n, true
	}
	return text, strings.Trim(strings.ToLower(bare), "0123456789abcdef"[:base]) == ""
}

// sexagesimal reads 1:30:00, which is in units of the last.
func sexagesimal(text, body string, negative bool) (any, bool) {
	parts := strings.Split(body, ":")
	total := int64(0)
	for i, part := range parts {
		bare := part
		if i == 0 {
			bare = strings.ReplaceAll(part, "_", "")
		}
		n, err := strconv.ParseUint(bare, 10, 62)
		switch {
		case err != nil, i == 0 && (part[0] == '0' || part[0] == '_'), i > 0 && (len(part) > 2 || n > 59):
			return nil, false
		case total > math.MaxInt64/120 || n > math.MaxInt64/4:
			return text, true
		}
		total = total*60 + int64(n)
	}
	if negative {
		total = -total
	}
	return total, true
}

// yamlFloat reads the forms of a float: there is a point in each of them, and a
// sign in its exponent.
func yamlFloat(text, body string, negative bool) (any, bool) {
	point := strings.IndexByte(body, '.')
	if point < 0 {
		return nil, false
	}
	whole, rest := body[:point], body[point+1:]
	fraction, exponent, scientific := rest, "", false
	if e := strings.IndexAny(rest, "eE"); e >= 0 {
		fraction, exponent, scientific = rest[:e], rest[e+1:], true
		if len(exponent) < 2 || exponent[0] != '-' && exponent[0] != '+' || strings.Trim(exponent[1:], "0123456789") != "" {
			return nil, false
		}
	}
	if strings.Trim(fraction, "0123456789_") != "" {
		return nil, false
	}
	minutes := strings.Contains(whole, ":")
	switch {
	case whole == "" && (fraction == "" || fraction[0] == '_' || len(body) < len(text)): // no sign before a bare point
		return nil, false
	case whole != "" && (whole[0] < '0' || whole[0] > '9'):
		return nil, false
	case minutes && scientific:
		return nil, false
	case strings.Trim(whole, "0123456789_:") != "":
		return nil, false
	}
	scale := 1.0
	f := 0.0
	if minutes {
		parts := strings.Split(whole, ":")
		for _, part := range parts[1:] {
			if n, err := strconv.Atoi(part); err != nil || n > 59 || len(part) > 2 {
				return nil, false
			}
		}
		last, _ := strconv.ParseFloat(bareDigits(parts[len(parts)-1]+"."+fraction), 64)
		f = last
		for i := len(parts) - 2; i >= 0; i-- {
			scale *= 60
			n, _ := strconv.ParseFloat(bareDigits(parts[i]), 64)
			f += n * scale
		}
	} else {
		word := bareDigits(whole) + "." + bareDigits(fraction)
		if scientific {
			word += "e" + exponent
		}
		var err error
		if f, err = strconv.ParseFloat(word, 64); err != nil {
			return text, true // infinite
		}
	}
	if negative {
		f = -f
	}
	return f, true
}

func bareDigits(s string) string { return strings.ReplaceAll(s, "_", "") }

// yamlTime reads dates and times, and writes them as Python's isoformat does.
func yamlTime(text string) (any, bool) {
	if len(text) < 8 || text[4] != '-' || strings.Trim(text[:4], "0123456789") != "" {
		return nil, false
	}
	if len(text) == 10 {
		t, err := time.Parse("2006-01-02", text)
		if err != nil {
			return nil, false
		}
		return t.Format("2006-01-02"), true
	}
	date, clock := text, ""
	if i := strings.IndexAny(text, "Tt \t"); i > 0 {
		date, clock = text[:i], strings.TrimLeft(text[i+1:], " \t")
		if (text[i] == 'T' || text[i] == 't') && len(clock) != len(text[i+1:]) {
			return nil, false
		}
	}
	zone := ""
	if i := strings.IndexAny(clock, "Z+-"); i >= 0 {
		clock, zone = strings.TrimRight(clock[:i], " \t"), clock[i:]
	}
	clock, fraction, dotted := strings.Cut(clock, ".")
	if strings.Trim(fraction, "0123456789") != "" {
		return nil, false
	}
	t, err := time.Parse("2006-1-2 15:4:5", date+" "+clock)
	if h, _, _ := strings.Cut(clock, ":"); err != nil || len(h) > 2 || h == "" || len(clock) < 7 && len(h) == 2 || !fullMinutes(clock) {
		return nil, false
	}
	out := t.Format("2006-01-02T15:04:05")
	if micro := (fraction + "000000")[:6]; dotted && micro != "000000" {
		out += "." + micro
	}
	if zone == "" {
		return out, true
	}
	offset, ok := zoneOffset(zone)
	return out + offset, ok
}

// fullMinutes wants two digits for minutes and seconds.
func fullMinutes(clock string) bool {
	parts := strings.Split(clock, ":")
	return len(parts) == 3 && len(parts[1]) == 2 && len(parts[2]) == 2
}

// zoneOffset reads Z, +1 or -05:30.
func zoneOffset(zone string) (string, bool) {
	if zone == "Z" {
		return "+00:00", true
	}
	h, m, minutes := strings.Cut(zone[1:], ":")
	hours, err := strconv.Atoi(h)
	if err != nil || len(h) > 2 || minutes && len(m) != 2 {
		return "", false
	}
	mins := 0
	if minutes {
		if mins, err = strconv.Atoi(m); err != nil {
			return "", false
		}
	}
	if hours > 23 || mins > 59 {
		return "", false
	}
	return fmt.Sprintf("%c%02d:%02d", zone[0], hours, mins), true
}
