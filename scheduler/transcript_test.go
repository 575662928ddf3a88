package scheduler_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts plays each script in testdata and compares the events with
// the transcript below it.
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) < 25 {
		t.Fatalf("%d transcripts, error %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, want := readScript(t, path)
			script := parseScript(t, text)
			events, got := script.play()
			checkAccounts(t, events)
			for _, r := range script.world.rules {
				if !r.met {
					t.Errorf("no op asked for the rule %s %s", r.host, r.op)
				}
			}
			if _, again := parseScript(t, text).play(); again != got {
				t.Errorf("second run differs:\n%s", cmp.Diff(got, again))
			}
			if *update {
				if err := os.WriteFile(path, []byte(text+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("transcript (-want +got):\n%s", diff)
			}
		})
	}
}
