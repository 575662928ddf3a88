package render

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"fleet/internal/event"
	"fleet/scheduler"
)

// appendString appends s as a JSON string (RFC 8259, section 7). Characters
// that are dangerous on a terminal are escaped like those that JSON demands;
// bytes that are no UTF-8 become U+FFFD.
func appendString[T string | []byte](dst []byte, s T) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped is appendString without the quotes.
func appendEscaped[T string | []byte](dst []byte, s T) []byte {
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\' {
			i++
		}
		dst = append(dst, s[start:i]...)
		if i == len(s) {
			break
		}
		if s[i] < utf8.RuneSelf {
			dst = appendEscape(dst, s[i])
			i++
			continue
		}
		var seq [utf8.UTFMax]byte
		r, n := utf8.DecodeRune(seq[:copy(seq[:], s[i:])])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, "\ufffd"...)
		case forbidden(r) && r > 0xffff:
			r -= 0x10000
			dst = appendUnit(appendUnit(dst, 0xd800+r>>10), 0xdc00+r&0x3ff)
		case forbidden(r):
			dst = appendUnit(dst, r)
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return appendUnit(dst, rune(c))
}

func appendUnit(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// appendBytes appends a member for bytes: name with a string if they are UTF-8,
// else name_b64 with standard base64 (RFC 4648, section 4).
func appendBytes(dst []byte, name string, p []byte) []byte {
	dst = append(append(dst, '"'), name...)
	if utf8.Valid(p) {
		return appendString(append(dst, `":`...), p)
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, `_b64":"`...), p)
	return append(dst, '"')
}

// appendTime appends t as RFC 3339 in UTC with microseconds.
func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z")
	return append(dst, '"')
}

// appendResult appends the members of a result from "host" on, without braces.
func appendResult(dst []byte, r *event.Result) []byte {
	dst = appendString(append(dst, `"host":`...), r.Host)
	dst = appendString(append(dst, `,"outcome":`...), string(r.Outcome))
	dst = appendCause(append(dst, `,"cause":`...), r.Cause)
	dst = append(dst, `,"exit_code":`...)
	if r.ExitCode != nil {
		dst = strconv.AppendInt(dst, int64(*r.ExitCode), 10)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"signal":`...)
	if r.Signal != "" {
		dst = appendString(dst, r.Signal)
	} else {
		dst = append(dst, "null"...)
	}
	dst = strconv.AppendInt(append(dst, `,"stdout_bytes":`...), r.StdoutBytes, 10)
	dst = strconv.AppendInt(append(dst, `,"stderr_bytes":`...), r.StderrBytes, 10)
	dst = strconv.AppendBool(append(dst, `,"truncated":`...), r.Truncated)
	dst = strconv.AppendInt(append(dst, `,"attempts":`...), int64(r.Attempts), 10)
	dst = strconv.AppendInt(append(dst, `,"tries":`...), int64(r.Tries), 10)
	dst = strconv.AppendInt(append(dst, `,"connect_ms":`...), r.Connect.Milliseconds(), 10)
	dst = strconv.AppendInt(append(dst, `,"run_ms":`...), r.Run.Milliseconds(), 10)
	dst = appendTransfer(dst, r.Transfer)
	dst = appendSupervised(dst, r)
	return appendTime(append(dst, `,"time":`...), r.Time)
}

// appendSupervised appends the members that only some results have.
func appendSupervised(dst []byte, r *event.Result) []byte {
	if r.Kill != "" {
		dst = appendString(append(dst, `,"kill":`...), string(r.Kill))
		dst = strconv.AppendInt(append(dst, `,"pid":`...), int64(r.PID), 10)
		dst = append(dst, `,"left":[`...)
		for i, pid := range r.Left {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, int64(pid), 10)
		}
		dst = append(dst, ']')
	}
	if r.NoiseBytes > 0 {
		dst = strconv.AppendInt(append(dst, `,"noise_bytes":`...), r.NoiseBytes, 10)
		dst = appendString(append(dst, `,"noise":`...), r.Noise)
	}
	if r.Batch > 0 {
		dst = strconv.AppendInt(append(dst, `,"batch":`...), int64(r.Batch), 10)
	}
	if k := r.Kept; k != nil {
		dst = strconv.AppendInt(append(dst, `,"kept":{"stdout":`...), k.Stdout, 10)
		dst = strconv.AppendInt(append(dst, `,"stderr":`...), k.Stderr, 10)
		dst = append(strconv.AppendBool(append(dst, `,"partial":`...), k.Partial), '}')
	}
	return dst
}

func appendCause(dst []byte, c *scheduler.Cause) []byte {
	if c == nil {
		return append(dst, "null"...)
	}
	dst = appendString(append(dst, `{"kind":`...), string(c.Kind))
	if c.Stage != "" {
		dst = appendString(append(dst, `,"stage":`...), string(c.Stage))
	}
	dst = appendString(append(dst, `,"text":`...), c.Text)
	return append(dst, '}')
}

// appendSummary appends the members of a summary, without braces. same is that
// of base.sameJSON.
func appendSummary(dst []byte, s event.Summary, same string) []byte {
	for i, o := range scheduler.Outcomes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, string(o))
		dst = strconv.AppendInt(append(dst, ':'), int64(s.Counts[o]), 10)
	}
	dst = strconv.AppendInt(append(dst, `,"wall_ms":`...), s.Wall.Milliseconds(), 10)
	dst = append(append(dst, `,"same":`...), same...)
	dst = append(dst, `,"stopped":`...)
	if by := StoppedBy(s); by != "" {
		return appendString(dst, by)
	}
	return append(dst, "null"...)
}

// StoppedBy is what ended a run before its time, as in the JSON of its summary;
// empty if nothing did.
func StoppedBy(s event.Summary) string {
	switch {
	case s.Halted && s.Refused != "":
		return string(s.Refused)
	case s.Halted:
		return "max-fail"
	case s.Deadline:
		return "deadline"
	case s.Interrupted:
		return "interrupted"
	}
	return ""
}
