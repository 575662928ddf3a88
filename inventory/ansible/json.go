package ansible

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// isJSON says whether the text is JSON, which Ansible tries before YAML.
func isJSON(data []byte) bool {
	bare := bytes.TrimLeft(data, " \t\r\n")
	return len(bare) > 0 && (bare[0] == '{' || bare[0] == '[') && json.Valid(bare)
}

// jsonWord reads what stands without quotes in JSON.
func jsonWord(text string) any {
	switch text {
	case "null":
		return nil
	case "true":
		return true
	case "false":
		return false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(f, 0) && !isDigits(text) {
		return f
	}
	return text
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
