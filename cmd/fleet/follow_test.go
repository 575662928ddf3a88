package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFollowShowsLines follows a run from its middle: lines of hosts that have not
// ended are shown as they come, those from before too, and each once.
func TestFollowShowsLines(t *testing.T) {
	t.Parallel()
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

// TestKilledWithinOutput ends fleet by SIGKILL while hosts write: the record has
// what had come to the disk, each line of it, and calls it partial.
func TestKilledWithinOutput(t *testing.T) {
	const lines = 20_000
	c := startCounters(t, 3)
	c.reset(0)
	before := c.runs(t)
	run := c.fleet("run", "-o", "quiet", "all", "--", fmt.Sprintf(`seq -f "line %%.0f of $HOSTNAME" %d; sleep 600`, lines))
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(time.Minute); c.runs(t) == before; {
		if time.Now().After(limit) {
			t.Fatal("the run is not recorded")
		}
	}
	// Whoever begins to follow has what came before brought to the disk: the first
	// sees the last lines, and the second comes after them.
	for range 2 {
		follow := c.fleet("history", "show", "--follow", "last")
		out, err := follow.StdoutPipe()
		if err == nil {
			err = follow.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			io.Copy(io.Discard, out) //nolint:errcheck // its end is what counts
			follow.Wait()            //nolint:errcheck // the status says it
			if code := follow.ProcessState.ExitCode(); code != exitUnreachable {
				t.Errorf("following a run that was killed ends with %d", code)
			}
		}()
		scan := bufio.NewScanner(out)
		for last := 0; last < 3 && scan.Scan(); {
			if strings.Contains(scan.Text(), fmt.Sprintf(": line %d of", lines)) {
				last++
			}
		}
	}
	run.Process.Kill() //nolint:errcheck // it is there
	run.Wait()         //nolint:errcheck // killed
	show := c.fleet("history", "show", "-o", "live", "last")
	var errs strings.Builder
	show.Stderr = &errs
	text, err := show.Output()
	if err != nil {
		t.Error(err)
	}
	for _, host := range c.lab.Hosts() {
		for n := 1; n <= lines; n += 1111 {
			if line := fmt.Sprintf("%s: line %d of %s\n", host.Name, n, host.Name); strings.Count(string(text), line) != 1 {
				t.Errorf("%q is there %d times", line, strings.Count(string(text), line))
			}
		}
	}
	if got := len(hostLines(strings.Split(string(text), "\n"))); got != 3*lines {
		t.Errorf("%d lines are there, want %d", got, 3*lines)
	}
	if !strings.Contains(errs.String(), "the output is partial: ") || !strings.Contains(errs.String(), "lost 3") {
		t.Errorf("told: %s", errs.String())
	}
}
