package ansible

import (
	"math"
	"strconv"
	"strings"
)

// number reads an integer, a float, or an imaginary number, which JSON cannot say.
func (p *literal) number() (any, bool) {
	from := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		sign := (c == '+' || c == '-') && p.pos > from && p.text[p.pos-1]|0x20 == 'e' && !strings.HasPrefix(strings.ToLower(p.text[from:]), "0x")
		if !sign && c != '.' && c != '_' && !isAlnum(c) {
			break
		}
		p.pos++
	}
	word := strings.ToLower(p.text[from:p.pos])
	if word == "" || !underscores(word) {
		return nil, false
	}
	if body, ok := strings.CutSuffix(word, "j"); ok && !strings.HasPrefix(word, "0x") {
		if _, ok := decimal(body, true); ok {
			p.odd = true
			return nil, true
		}
		return nil, false
	}
	v, ok := decimal(word, false)
	if text, isText := v.(string); isText {
		p.odd = true
		return text, ok
	}
	return v, ok
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// underscores wants each between two digits, or after the letter of a base.
func underscores(word string) bool {
	for i := range len(word) {
		if word[i] != '_' {
			continue
		}
		if i == 0 || i == len(word)-1 || !isAlnum(word[i+1]) || !isAlnum(word[i-1]) {
			return false
		}
		hex := strings.HasPrefix(word, "0x")
		based := i == 2 && word[0] == '0' && strings.IndexByte("xob", word[1]) >= 0
		if isLetter(word[i-1]) && !hex && !based || isLetter(word[i+1]) && !hex {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }

// decimal reads a number in lower case. Text comes back for one that is too
// large. Leading zeros are for floats and imaginary numbers only.
func decimal(word string, zeros bool) (any, bool) {
	word = strings.ReplaceAll(word, "_", "")
	if len(word) > 1 && word[0] == '0' && strings.IndexByte("xob", word[1]) >= 0 {
		return integer(word[2:], map[byte]int{'x': 16, 'o': 8, 'b': 2}[word[1]], word)
	}
	if strings.Trim(word, "0123456789") == "" {
		if word == "" || !zeros && word[0] == '0' && strings.Trim(word, "0") != "" {
			return nil, false
		}
		return integer(word, 10, word)
	}
	if strings.Trim(word, "0123456789.e+-") != "" {
		return nil, false
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil && !math.IsInf(f, 0) {
		return nil, false
	}
	if math.IsInf(f, 0) {
		return word, true
	}
	return f, true
}

// integer reads digits; beyond 64 bits they stay text.
func integer(digits string, base int, word string) (any, bool) {
	if n, err := strconv.ParseInt(digits, base, 64); err == nil {
		return n, true
	}
	if n, err := strconv.ParseUint(digits, base, 64); err == nil {
		return n, true
	}
	for _, c := range []byte(digits) {
		if _, err := strconv.ParseUint(string(c), base, 8); err != nil {
			return nil, false
		}
	}
	return word, digits != ""
}

// keyText writes a key as Python's json does.
func keyText(key any) (string, bool) {
	switch k := key.(type) {
	case string:
		return k, true
	case nil:
		return "null", true
	case bool:
		return strconv.FormatBool(k), true
	case int64:
		return strconv.FormatInt(k, 10), true
	case uint64:
		return strconv.FormatUint(k, 10), true
	case float64:
		return floatText(k), true
	}
	return "", false
}

func keyNumber(key any) (float64, bool) {
	switch k := key.(type) {
	case bool:
		return map[bool]float64{true: 1}[k], true
	case int64:
		return float64(k), true
	case float64:
		return k, true
	}
	return 0, false
}

// floatText writes a number as Python's repr does.
func floatText(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		return s
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func (p *literal) negative(v any) any {
	switch n := v.(type) {
	case int64:
		return -n
	case uint64:
		if n == 1<<63 {
			return int64(math.MinInt64)
		}
		p.odd = true
	case float64:
		return -n
	}
	return v
}
