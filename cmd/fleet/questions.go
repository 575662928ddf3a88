package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"fleet/sshpool"
)

// questions asks a person what a host asks at login. The texts are made safe by
// sshpool; the host is named in each line, so that nobody is asked in another's name.
func questions(ask *prompter) func(ctx context.Context, host, name, instruction string, list []sshpool.Question) ([]string, error) {
	return func(ctx context.Context, host, name, instruction string, list []sshpool.Question) ([]string, error) {
		for _, text := range []string{name, instruction} {
			if text != "" {
				ask.tell(host + ": " + strings.ReplaceAll(text, "\n", "\n"+host+": "))
			}
		}
		answers := make([]string, len(list))
		for i, q := range list {
			answer, err := ask.ask(ctx, host+": "+q.Text+" ", q.Echo)
			if err != nil {
				return nil, err
			}
			answers[i] = string(answer)
		}
		return answers, nil
	}
}

// touches tells that a key waits to be touched.
func touches(ask *prompter) func(ctx context.Context, host, key string, n, total int) {
	return func(_ context.Context, host, key string, n, total int) {
		ask.tell(fmt.Sprintf("touch your key %s for %s (%d of %d)", key, host, n, total))
	}
}

// readAnswers reads the file of answers to what hosts ask at login.
func (f *connectFlags) readAnswers() ([]sshpool.Answer, error) {
	if f.answers == "" {
		return nil, nil
	}
	file, err := os.Open(f.answers)
	if err != nil {
		return nil, usage(fmt.Errorf("--answers: %w", err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 && info.Mode().IsRegular() {
		return nil, usage(fmt.Errorf("--answers: %s can be read by others (mode %04o)", f.answers, info.Mode().Perm()), "chmod 600 "+f.answers)
	}
	answers, err := sshpool.ReadAnswers(file)
	if err == nil && len(answers) == 0 {
		err = errors.New("no answer in it")
	}
	if err != nil {
		return nil, usage(fmt.Errorf("--answers %s: %w", f.answers, err), "a line is QUESTION = ANSWER, where QUESTION is a part of what the host asks")
	}
	for _, a := range answers {
		secrets.Add([]byte(a.Text))
	}
	return answers, nil
}
