package sshpool_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"fleet/sshpool"
)

// An Auth with a key file, its certificate beside it, and the agent, as ssh has.
func ExampleAuth() {
	home, err := os.UserHomeDir()
	if err != nil {
		fmt.Println(err)
		return
	}
	auth := &sshpool.Auth{
		Keys:        []string{home + "/.ssh/deploy"}, // and deploy-cert.pub, if there is one
		DefaultKeys: []string{home + "/.ssh/id_ed25519", home + "/.ssh/id_rsa"},
		AgentSocket: os.Getenv("SSH_AUTH_SOCK"),
		Passphrase: func(_ context.Context, file string) ([]byte, error) {
			return nil, fmt.Errorf("nobody to ask for the passphrase of %s", file)
		},
		Touch: func(_ context.Context, host, key string, n, total int) {
			fmt.Printf("touch your key for %s (%d of %d)\n", host, n, total)
		},
	}
	defer auth.Close()
}

// Questions of a host are answered from a file, or by a person.
func ExampleReadAnswers() {
	answers, err := sshpool.ReadAnswers(strings.NewReader(`
# question = answer
verification code = 123456
/^Password for .*:/ = correct horse
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	auth := &sshpool.Auth{
		Answers: answers,
		Interactive: func(_ context.Context, host, _, _ string, questions []sshpool.Question) ([]string, error) {
			return nil, fmt.Errorf("%s asks %q", host, questions[0].Text)
		},
	}
	fmt.Println(len(auth.Answers), "answers")
	// Output:
	// 2 answers
}
