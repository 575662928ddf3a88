package shell

import (
	"slices"
	"strings"
)

// Complete gives line with as much added at pos, a byte offset, as all that
// could stand there have alike. named gives the hosts and groups whose names
// begin with a prefix, modes are those of :output; names of this machine's files
// are looked up. It says false where there is nothing to add.
func Complete(line string, pos int, named func(prefix string) []string, modes []string) (string, int, bool) {
	before, after := line[:pos], line[pos:]
	text := strings.TrimLeft(before, " \t")
	if text == "" {
		return "", 0, false
	}
	if word, ok := fileWord(text); ok {
		added := quoteMore(alike(files(word)), word)
		return before + added + after, pos + len(added), added != ""
	}
	var offers []string
	word := ""
	switch arg, isOutput := strings.CutPrefix(text, ":output "); {
	case isOutput:
		word, offers = arg, modes
	case text[0] == ':':
		word, offers = text[1:], Words
	case strings.IndexByte("@+-!", text[0]) >= 0:
		cut := max(1, strings.LastIndexAny(text, "@!,&^")+1) // a name may hold + and -
		word = text[cut:]
		if text[0] == '@' && cut == 1 {
			offers = append(offers, startingWith([]string{"all", "failed"}, word)...)
		}
		offers = append(offers, named(word)...)
	default:
		return "", 0, false
	}
	added := strings.TrimPrefix(alike(startingWith(offers, word)), word)
	if added == "" {
		return "", 0, false
	}
	return before + added + after, pos + len(added), true
}

func startingWith(words []string, prefix string) []string {
	var found []string
	for _, w := range words {
		if strings.HasPrefix(w, prefix) {
			found = append(found, w)
		}
	}
	return found
}

// alike is the longest beginning that all words share.
func alike(words []string) string {
	if len(words) == 0 {
		return ""
	}
	first, last := slices.Min(words), slices.Max(words)
	n := 0
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	return first[:n]
}
