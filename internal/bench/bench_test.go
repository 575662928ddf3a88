package main

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestRatiosArePairedByRound(t *testing.T) {
	of := func(walls ...float64) (s series) {
		for _, w := range walls {
			s = append(s, usage{wall: seconds(w)})
		}
		return s
	}
	// Each round of a noisy machine is twice as slow as the one before.
	got := over(of(1, 2, 4), of(2, 4, 5), wall)
	if want := (ratio{0.5, 0.5, 0.8}); got != want {
		t.Errorf("over = %v, want %v", got, want)
	}
	if s := got.String(); s != "0.50 (0.50–0.80)" {
		t.Errorf("printed as %q", s)
	}
}

func TestTurnsAlternateAfterOneToWarmUp(t *testing.T) {
	var order strings.Builder
	side := func(name string) contender {
		return contender{name, func(context.Context) (usage, error) {
			order.WriteString(name)
			return usage{wall: time.Duration(order.Len())}, nil
		}}
	}
	got, err := turns(t.Context(), 2, side("A"), side("B"))
	if err != nil || order.String() != "ABABAB" {
		t.Fatalf("order %s, error %v", order.String(), err)
	}
	if len(got[0]) != 2 || got[0][0].wall != 3 || got[1][1].wall != 6 {
		t.Errorf("series %v: the round to warm up does not count", got)
	}
	broken := errors.New("no")
	_, err = turns(t.Context(), 2, contender{"C", func(context.Context) (usage, error) { return usage{}, broken }})
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "C: ") {
		t.Errorf("error %v", err)
	}
}

func testBench(t *testing.T) *bench {
	return &bench{rounds: 1, dir: t.TempDir(), out: io.Discard}
}

func TestCostOfAChild(t *testing.T) {
	b := testBench(t)
	busy := []string{"/bin/sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done"}
	u, err := b.cost(t.Context(), command{argv: busy, check: contains("done")})
	if err != nil || u.cpu <= 0 || u.wall < u.cpu/time.Duration(2*cores()) {
		t.Errorf("usage %+v, error %v", u, err)
	}
	if runtime.GOOS == "linux" && u.rss <= 0 {
		t.Errorf("peak RSS %d", u.rss)
	}
	_, err = b.cost(t.Context(), command{argv: busy, check: contains("other")})
	if err == nil {
		t.Error("a child that did not do its work was counted")
	}
	_, err = b.cost(t.Context(), command{argv: []string{"/bin/sh", "-c", "echo why >&2; exit 3"}})
	if err == nil || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("error %v", err)
	}
	_, err = b.cost(t.Context(), command{argv: []string{"/bin/sh", "-c", "exec tail -f /dev/null"}, limit: 100 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "not done after 100ms") {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(b.dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCPUOfARunningProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // read from /proc
	}
	deadline := time.Now().Add(30 * time.Second)
	for n := 0; ; n++ { // burns what it waits for
		if n%1_000_000 != 0 {
			continue
		}
		d, err := cpuOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if d > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no CPU time after 30 s of work")
		}
	}
}

func TestPick(t *testing.T) {
	all, err := pick(nil)
	if err != nil || len(all) != len(scenarios()) {
		t.Fatalf("%d scenarios, error %v", len(all), err)
	}
	for _, s := range all {
		got, err := pick([]string{s.name})
		if err != nil || len(got) != 1 || got[0].name != s.name || s.title == "" || s.how == "" || s.run == nil {
			t.Errorf("scenario %q: %v, %v", s.name, got, err)
		}
	}
	if _, err := pick([]string{"lite"}); err == nil || !strings.Contains(err.Error(), "light, real") {
		t.Errorf("error %v", err)
	}
}

func TestWhatCannotBeMeasuredIsNamed(t *testing.T) {
	b := testBench(t)
	missing := b.measure(t.Context(), []scenario{
		{name: "good", run: func(b *bench, _ context.Context) error {
			b.sheet("good").time("wall", 2*time.Second, time.Second)
			return nil
		}},
		{name: "bad", run: func(*bench, context.Context) error { return errors.New("no server") }},
	})
	if len(missing) != 1 || missing[0] != "bad" {
		t.Errorf("missing %v: a missed target is no error, a missing figure is", missing)
	}
	if got := b.score(); got != "0 of 1" {
		t.Errorf("score %s", got)
	}
	if r := b.rows[1]; r.scenario != "bad" || !strings.Contains(r.value, "no server") {
		t.Errorf("row %+v", r)
	}
}

func TestSizesAndTimes(t *testing.T) {
	for got, want := range map[string]string{
		size(512): "0.5 KB", size(45 << 10): "45 KB", size(29 << 20): "29 MB", size(3 << 29): "1.5 GB",
		short(1500 * time.Microsecond): "1.5ms", short(812 * time.Millisecond): "812ms",
		short(1250 * time.Millisecond): "1.25s", short(90 * time.Second): "1m30s",
		thousands(50): "50", thousands(1000): "1,000", thousands(1_000_020): "1,000,020",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
