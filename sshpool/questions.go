package sshpool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Answer is what to answer to keyboard-interactive questions of some text.
type Answer struct {
	Question *regexp.Regexp // matched against the question as it is shown
	Text     string
}

// ReadAnswers reads one answer a line:
//
//	# a comment
//	verification code = 123456
//	/^(Password|Passwort): ?$/ = correct horse
//
// Before the first " = " stands a part of the question, in which capital and
// small letters are the same, or a regular expression between slashes (RE2
// syntax); behind it all that follows is the answer, blanks included. The first
// line that fits a question answers it, once in each step of a login. An error
// names the line and never quotes an answer.
func ReadAnswers(r io.Reader) ([]Answer, error) {
	var answers []Answer
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
			continue
		}
		a, err := parseAnswer(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		answers = append(answers, a)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read answers: %w", err)
	}
	return answers, nil
}

func parseAnswer(line string) (Answer, error) {
	line = strings.TrimLeft(line, " \t")
	end, pattern := strings.Index(line, " = "), ""
	if line[0] == '/' { // the expression may hold " = " itself
		end = strings.Index(line[1:], "/ = ") + 2
	}
	switch {
	case end <= 0, line[0] == '/' && end < 2:
		return Answer{}, errors.New("not of the form QUESTION = ANSWER")
	case end == 2 && line[0] == '/':
		return Answer{}, errors.New("empty regular expression, which would fit any question")
	}
	question := strings.TrimSpace(line[:end])
	if pattern = "(?i)" + regexp.QuoteMeta(question); line[0] == '/' {
		pattern = question[1 : len(question)-1]
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return Answer{}, fmt.Errorf("regular expression: %w", err)
	}
	return Answer{re, line[end+len(" = "):]}, nil
}

// answer replies to a round of keyboard-interactive questions (RFC 4256).
func (d *dialer) answer(name, instruction string, texts []string, echos []bool) ([]string, error) {
	tr := &d.auth
	if tr.rounds++; tr.rounds > maxRounds || len(texts) > maxRounds {
		tr.final = endless()
		return nil, tr.final
	}
	answers := make([]string, len(texts))
	var open []Question
	var at []int // the index of each
	for i, text := range texts {
		q := Question{shown(text, false), echos[i]}
		answer, ok, err := d.known(q)
		if err != nil {
			return nil, err
		}
		if answers[i] = answer; !ok {
			open, at = append(open, q), append(at, i)
		}
	}
	name, instruction = shown(name, false), shown(instruction, true)
	if len(open) == 0 && (len(texts) > 0 || name+instruction == "") {
		return answers, nil
	}
	if d.t.Auth.Interactive == nil {
		if len(open) == 0 {
			return answers, nil
		}
		err := fmt.Errorf("the question %s has no answer", excerpt([]byte(open[0].Text)))
		tr.note(err.Error())
		return nil, err
	}
	got, err := d.askPerson(name, instruction, open)
	if err != nil {
		return nil, err
	}
	for i, text := range got {
		answers[at[i]] = text
	}
	return answers, nil
}

// known gives the answer that needs no person.
func (d *dialer) known(q Question) (answer string, ok bool, err error) {
	a, step := d.t.Auth, &d.auth.step
	for i, known := range a.Answers {
		if known.Question.MatchString(q.Text) && !step.answers[i] {
			if step.answers == nil {
				step.answers = make(map[int]bool)
			}
			step.answers[i] = true
			return known.Text, true, nil
		}
	}
	if a.Password == nil || q.Echo || step.password ||
		a.Interactive != nil && !strings.Contains(strings.ToLower(q.Text), "password") {
		return "", false, nil
	}
	answer, err = d.askPassword()
	if err != nil {
		d.auth.final = d.promptError(err)
	}
	return answer, err == nil, err
}

// askPerson asks the questions, and none at a time when another login asks.
func (d *dialer) askPerson(name, instruction string, open []Question) (got []string, err error) {
	a, step := d.t.Auth, &d.auth.step
	if len(open) > 0 && !step.asked {
		step.asked = true
		step.asks++
	}
	err = d.person(func() error {
		return a.ask(d.ctx, func() error {
			if below := d.wire.failure(); below != nil {
				return d.fail(below) // the host has not waited
			}
			got, err = a.Interactive(d.ctx, d.t.name(), name, instruction, open)
			return err
		})
	})
	if err == nil && len(got) != len(open) {
		err = fmt.Errorf("%d answers to %d questions", len(got), len(open))
	}
	if err != nil {
		d.auth.final = d.promptError(err)
	}
	return got, err
}

// maxShown bounds a text of the host that is shown to a person, in runes.
const maxShown = 2000

// shown makes a text of the host safe to print: what a terminal could act on,
// or what changes the direction of writing, is escaped. Line ends stay where
// lines are wanted.
func shown(s string, lines bool) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimRight(s, "\r\n") {
		if n++; n > maxShown {
			b.WriteString("...")
			break
		}
		switch {
		case r == '\n' && lines, unicode.IsPrint(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		case r == '\t':
			b.WriteByte(' ')
		case r == '\r' && lines:
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}
