package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// cores is how many of the machine's cores this process may use.
func cores() int { return runtime.NumCPU() }

// firstName is the name of one host of a lab.
func (b *bench) firstName(ctx context.Context, s *server) (string, error) {
	_, out, err := b.output(ctx, command{argv: []string{b.fleet, "hosts", "-i", s.inventory(), "--output", "names"}})
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(string(out), "\n")
	if name == "" {
		return "", errors.New("fleet hosts: no host")
	}
	return name, nil
}

// machine says what the figures were measured on, one fact a line.
func (b *bench) machine(ctx context.Context) []string {
	facts := []string{
		fmt.Sprintf("%s, %d cores, %s", field("/proc/cpuinfo", "model name"), cores(), memory()),
		fmt.Sprintf("%s %s, %s", runtime.GOOS, kernel(), field("/etc/os-release", "PRETTY_NAME")),
		fmt.Sprintf("%s; golang.org/x/crypto %s", runtime.Version(), module("golang.org/x/crypto")),
	}
	if out, err := exec.CommandContext(ctx, b.fleet, "version").Output(); err == nil {
		first, _, _ := strings.Cut(string(out), "\n")
		facts = append(facts, first)
	}
	if sshd, err := findSSHD(); err == nil {
		// It says its version with its usage, on standard error.
		out, _ := exec.CommandContext(ctx, sshd, "-V").CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "OpenSSH_") {
				facts = append(facts, strings.TrimSpace(line))
			}
		}
	}
	return facts
}

// field finds a value in a file of "name : value" or name=value lines.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		for _, sep := range []string{":", "="} {
			key, value, ok := strings.Cut(line, sep)
			if ok && strings.TrimSpace(key) == name {
				return strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return "unknown"
}

func memory() string {
	var kb int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kb); err != nil {
		return "unknown memory"
	}
	return size(kb<<10) + " memory"
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// module is the version of a module that this program is built with.
func module(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "unknown"
}
