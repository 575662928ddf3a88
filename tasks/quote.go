package tasks

import (
	"strings"

	"fleet/internal/remote"
)

// Quote quotes word so that a POSIX shell reads it as one word, exactly as it
// is. A word cannot hold a NUL byte; Quote cuts it there, as every program's
// argv would.
func Quote(word string) string { return remote.Quote(word) }

// QuoteAll quotes each word and joins them with spaces.
func QuoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// Environment is the Payload of a scheduler.Exec that sets variables, each
// NAME=VALUE, for its command. An error names the variable and not its value.
func Environment(env []string) (payload string, err error) { return remote.Environment(env) }
