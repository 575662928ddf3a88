package shell

import (
	"slices"
	"strings"
)

// Complete gives line with as much added at pos, a byte offset, as all that
// could stand there have alike. named gives the hosts and groups whose names
// begin with a prefix, modes are those of :output. It says false where there is
// nothing to add.
func Complete(line string, pos int, named func(prefix string) []string, modes []string) (string, int, bool) {
	before, after := line[:pos], line[pos:]
	text := strings.TrimLeft(before, " \t")
	if text == "" {
		return "", 0, false
	}
	var offers []string
	word, end := "", ""
	switch arg, isOutput := strings.CutPrefix(text, ":output "); {
	case isOutput:
		word, offers = arg, modes
	case text[0] == ':':
		word, offers, end = text[1:], Words, " "
	case strings.IndexByte("@+-!", text[0]) >= 0:
		word = text[strings.LastIndexAny(text, "@+-!,&^")+1:]
		if cut := strings.LastIndexAny(text[1:], "@!,&^") + 1; cut > 0 || text[0] != '-' {
			word = text[cut+1:]
		}
		if text[0] == '@' {
			offers = append(offers, startingWith([]string{"all", "failed"}, word)...)
		}
		offers = append(offers, named(word)...)
	default:
		return "", 0, false
	}
	more, only := alike(startingWith(offers, word))
	if !only || after != "" {
		end = ""
	}
	added := strings.TrimPrefix(more, word) + end
	if more == "" || added == "" {
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

// alike is the longest beginning that all words share, and whether it is one whole word.
func alike(words []string) (prefix string, only bool) {
	if len(words) == 0 {
		return "", false
	}
	slices.Sort(words)
	words = slices.Compact(words)
	first, last := words[0], words[len(words)-1]
	n := 0
	for n < len(first) && n < len(last) && first[n] == last[n] {
		n++
	}
	return first[:n], len(words) == 1
}
