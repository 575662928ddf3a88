package shell

import "strings"

// Copy copies files to the target set or from it. What its words mean is for
// whoever carries it out.
type Copy struct {
	Push  bool
	Words []string
	Line  string // as it was typed
}

func (Copy) action() {}

// parseCopy reads the words after :push or :pull.
func parseCopy(word, arg, line string) (Action, error) {
	words, err := splitWords(arg)
	if err != nil {
		return nil, err
	}
	return Copy{word == "push", words, ":" + line}, nil
}

// splitWords takes a line apart into words as a shell does, as far as quotes and
// backslashes go (POSIX.1-2017, Shell Command Language, 2.2).
func splitWords(line string) (words []string, err error) {
	var word strings.Builder
	begun := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t':
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		case '\\':
			if i++; i == len(line) {
				return nil, wrong("", "a backslash at the end of the line")
			}
			word.WriteByte(line[i])
			begun = true
		case '\'', '"':
			n := i + 1
			for n < len(line) && line[n] != c {
				if c == '"' && line[n] == '\\' && n+1 < len(line) && strings.IndexByte("\"\\$`", line[n+1]) >= 0 {
					n++
				}
				word.WriteByte(line[n])
				n++
			}
			if n == len(line) {
				return nil, wrong("", "a quote %c that is not closed", c)
			}
			i, begun = n, true
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// At is a file's name on hosts, which does not begin where commands do but in
// the folder of :cd.
func (s *Session) At(name string) string {
	if s.dir == "" || name == "" || name[0] == '/' || name[0] == '~' {
		return name
	}
	slash := ""
	if strings.HasSuffix(name, "/") {
		slash = "/"
	}
	return strings.TrimSuffix(enter(s.dir, name), "/") + slash
}
