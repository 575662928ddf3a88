// Command bare runs one command on many hosts by golang.org/x/crypto/ssh and
// does nothing else: no host key is checked, no limit set, no output kept. It
// is the floor that fleet is measured against: what the library itself costs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

func main() {
	key := flag.String("key", "", "private key file")
	user := flag.String("user", "ops", "user to log in as")
	list := flag.String("addresses", "", "file of address:port lines")
	n := flag.Int("n", 0, "take the first n addresses")
	fanout := flag.Int("fanout", 100, "hosts at once")
	flag.Parse()
	if err := run(*key, *user, *list, *n, *fanout, strings.Join(flag.Args(), " ")); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(key, user, list string, n, fanout int, command string) error {
	pem, err := os.ReadFile(key)
	if err != nil {
		return err
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	addrs := strings.Fields(string(text))
	if len(addrs) < n {
		return fmt.Errorf("%d addresses, %d wanted", len(addrs), n)
	}
	config := &ssh.ClientConfig{
		User:            user,
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	}
	queue := make(chan string)
	failed := make(chan error, n)
	var workers sync.WaitGroup
	for range fanout {
		workers.Go(func() {
			for addr := range queue {
				if err := visit(addr, config, command); err != nil {
					failed <- fmt.Errorf("%s: %w", addr, err)
				}
			}
		})
	}
	for _, addr := range addrs[:n] {
		queue <- addr
	}
	close(queue)
	workers.Wait()
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	fmt.Printf("ok %d\n", n-len(all))
	return errors.Join(all...)
}

// visit is all that is done with one host.
func visit(addr string, config *ssh.ClientConfig, command string) error {
	client, err := ssh.Dial("tcp", addr, config)
	if err != nil {
		return err
	}
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	_, err = session.Output(command)
	return err
}
