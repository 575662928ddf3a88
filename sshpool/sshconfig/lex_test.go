package sshconfig

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// scrawl is a line of few letters and many signs that mean something.
func scrawl(r *rand.Rand) string {
	const signs = `ab"'\=# 	%`
	var b strings.Builder
	for range 1 + r.IntN(12) {
		b.WriteByte(signs[r.IntN(len(signs))])
	}
	before := [...]string{"", "  ", "\t", "\f", " = ", `"`, ""}[r.IntN(7)]
	between := [...]string{" ", "=", " = ", "\t", "", `"`, `" `}[r.IntN(7)]
	return before + [...]string{"IdentityFile", "certificatefile"}[r.IntN(2)] + between + b.String()
}

// TestOracleWords has ssh read lines of quotes, backslashes and "=", tells by
// its complaints which are wrong, and compares what the others mean.
func TestOracleWords(t *testing.T) {
	t.Parallel()
	complaint := regexp.MustCompile(`config:? line (\d+)`)
	o := newOracle(t)
	good := 0
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 3))
		var lines, kept []string
		for range 80 {
			lines = append(lines, scrawl(r))
		}
		file := write(t, filepath.Join(t.TempDir(), "config"), strings.Join(lines, "\n")+"\n")
		out, _ := exec.Command("ssh", "-G", "-F", file, "x").CombinedOutput()
		bad := make(map[string]bool)
		for _, m := range complaint.FindAllStringSubmatch(string(out), -1) {
			bad[m[1]] = true
		}
		for n, line := range lines {
			c, err := Parse(o.env, "config", line)
			wrong := err != nil
			if !wrong { // an unknown keyword is an error to ssh
				wrong = len(c.Warnings()) > 0 && strings.Contains(c.Warnings()[0].Text, "unknown")
			}
			if wrong != bad[fmt.Sprint(n+1)] {
				t.Errorf("%q: here wrong is %v (%v), to ssh %v", line, wrong, err, !wrong)
			}
			if !wrong && !bad[fmt.Sprint(n+1)] {
				kept = append(kept, line)
			}
		}
		good += len(kept)
		o.compareRaw(t, write(t, file, strings.Join(kept, "\n")+"\n"))
	}
	if good < 200 {
		t.Errorf("only %d lines were right: the test asks too little", good)
	}
}

// compareRaw compares the files that are named, without expanding them.
func (o *oracle) compareRaw(t *testing.T, file string) {
	t.Helper()
	want, err := sshG(file, Query{Host: "x"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(o.env, file)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]string)
	for _, item := range c.files[0].blocks[0].items {
		if list := got[item.set.kw.name]; !slices.Contains(list, item.set.values[0]) {
			got[item.set.kw.name] = append(list, item.set.values[0])
		}
	}
	for _, key := range []string{"identityfile", "certificatefile"} {
		if !slices.Equal(got[key], want[key]) {
			t.Errorf("%s\n here %q\n  ssh %q", key, got[key], want[key])
		}
	}
}
