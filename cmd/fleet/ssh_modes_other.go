//go:build !linux

package main

import "golang.org/x/crypto/ssh"

// terminalModes leaves the settings of the terminal to the host.
func terminalModes(int) ssh.TerminalModes { return nil }
