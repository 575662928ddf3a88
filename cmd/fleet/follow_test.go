package main

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFollowShowsLines follows a run from its middle: lines of hosts that have not
// ended are shown as they come, those from before too, and each once.
func TestFollowShowsLines(t *testing.T) {
	c := startCounters(t, 3)
	c.reset(0)
	command := `echo one; printf part; while ! test -e "$COUNTS/go"; do sleep 0.05; done; echo ial; echo two >&2
		head -c 300000 /dev/zero | tr '\0' x | fold -w 99; echo; echo end of $HOSTNAME`
	if text, err := c.fleet("run", "--detach", "all", "--", command).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	follow := c.fleet("history", "show", "--follow", "last")
	follow.Stderr = os.Stderr
	out, err := follow.StdoutPipe()
	if err == nil {
		err = follow.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	scan := bufio.NewScanner(out)
	for ones := 0; ones < 3 && scan.Scan(); {
		lines = append(lines, scan.Text())
		if strings.HasSuffix(scan.Text(), ": one") {
			ones++
		}
	}
	if err := os.WriteFile(filepath.Join(c.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for scan.Scan() {
		lines = append(lines, scan.Text())
	}
	if err := follow.Wait(); err != nil {
		t.Error(err)
	}
	again, err := c.fleet("history", "show", "-o", "live", "last").Output()
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(hostLines(strings.Split(string(again), "\n")), hostLines(lines)); diff != "" {
		t.Errorf("what was shown once the run had ended, and what as it came:\n%.3000s", diff)
	}
	if got := hostLines(lines); len(got) != 3*(1+1+300000/99+1+1) || !slices.Contains(got, "web01: partial") {
		t.Errorf("%d lines", len(got))
	}
	if text, err := c.fleet("history", "show", "--follow", "last").Output(); err != nil || !strings.Contains(string(text), "end of web01") {
		t.Errorf("of a run that has ended: %v", err)
	}
}

// hostLines are those of hosts, sorted.
func hostLines(lines []string) (of []string) {
	for _, line := range lines {
		if host, _, ok := strings.Cut(line, ": "); ok && !strings.Contains(host, " ") {
			of = append(of, line)
		}
	}
	slices.Sort(of)
	return of
}
