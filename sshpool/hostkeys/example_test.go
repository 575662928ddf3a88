package hostkeys_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"fleet/sshpool/hostkeys"
)

// hostKey is the key of host number n.
func hostKey(n byte) ssh.PublicKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	key, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		log.Fatal(err)
	}
	return key
}

// Line writes a line of a known_hosts file; Lookup finds what it says.
func ExampleLine() {
	plain, err := hostkeys.Line("web1:2222", hostKey(1), false)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Fields(plain)[:2])
	hidden, err := hostkeys.Line("web1:2222", hostKey(1), true)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(hidden[:3], len(hostkeys.Parse("known_hosts", hidden).Lookup("web1:2222")))
	// Output:
	// [[web1]:2222 ssh-ed25519]
	// |1| 1
}

// Lookup finds the lines that mean a host.
func ExampleIndex_Lookup() {
	line, _ := hostkeys.Line("web1", hostKey(1), false)
	index := hostkeys.Parse("known_hosts", line+"\n")
	for _, e := range index.Lookup("web1:22") {
		fmt.Println(e.Place(), e.Key.Type(), ssh.FingerprintSHA256(e.Key))
	}
	// Output:
	// known_hosts:1 ssh-ed25519 SHA256:+7Mp32er4lydoNiApNjjbYQK0PA6q+yZEYhxADwBN3M
}

// A policy refuses hosts that are not known, and those with another key.
func ExamplePolicy_Check() {
	line, _ := hostkeys.Line("web1", hostKey(1), false)
	policy := &hostkeys.Policy{Index: hostkeys.Parse("known_hosts", line)}
	fmt.Println(policy.Check("web1:22", nil, hostKey(1)))
	for _, addr := range []string{"web1:22", "web2:22"} {
		var refused *hostkeys.Error
		if errors.As(policy.Check(addr, nil, hostKey(2)), &refused) {
			fmt.Println(addr, refused.Reason, len(refused.Known))
		}
	}
	// Output:
	// <nil>
	// web1:22 changed 1
	// web2:22 unknown 0
}

// AcceptNew takes the key of a new host and keeps it.
func ExamplePolicy_acceptNew() {
	dir, err := os.MkdirTemp("", "hostkeys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	policy := &hostkeys.Policy{Mode: hostkeys.AcceptNew, File: filepath.Join(dir, "known_hosts")}
	fmt.Println(policy.Check("web1:22", nil, hostKey(1)))

	index, err := hostkeys.Load(policy.File)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(index.Len(), "key kept")
	// Output:
	// <nil>
	// 1 key kept
}

// Add writes a key that somebody has approved, and Remove takes it out again.
func ExamplePolicy_Add() {
	dir, err := os.MkdirTemp("", "hostkeys")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	policy := &hostkeys.Policy{File: filepath.Join(dir, "known_hosts"), Hash: true}
	refused, err := policy.Add([]hostkeys.HostKey{{Addr: "web1:22", Key: hostKey(1)}})
	fmt.Println(refused[0] == nil, err)

	removed, err := hostkeys.Remove(policy.File, []string{"web1:22"}, false)
	fmt.Println(removed[0].Line, removed[0].Type, err)
	// Output:
	// true <nil>
	// 1 ssh-ed25519 <nil>
}

// Pins are the only keys that a host may show.
func ExampleParsePins() {
	pins, err := hostkeys.ParsePins([]string{ssh.FingerprintSHA256(hostKey(1))})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(pins.Check("web1:22", nil, hostKey(1)))
	fmt.Println(pins.Check("web1:22", nil, hostKey(2)) != nil)
	// Output:
	// <nil>
	// true
}
