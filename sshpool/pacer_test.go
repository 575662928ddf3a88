package sshpool

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// handshakes runs n handshakes of the given length and tells how many were
// under way at most, in all and per address.
func handshakes(t *testing.T, p *pacer, keys []string, took time.Duration, result func(i int) error) (all, each int) {
	t.Helper()
	var mu sync.Mutex
	now, at := 0, map[string]int{}
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() {
			leave, err := p.enter(t.Context(), key)
			if err != nil {
				return
			}
			mu.Lock()
			now++
			at[key]++
			all, each = max(all, now), max(each, at[key])
			mu.Unlock()
			time.Sleep(took) // of the bubble's own time
			mu.Lock()
			now--
			at[key]--
			mu.Unlock()
			leave(result(i))
		})
	}
	wg.Wait()
	return all, each
}

func fine(int) error { return nil }

func TestPacerLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(100, 8)
		var keys []string
		for i := range 50 {
			keys = append(keys, "one", string(rune('A'+i)))
		}
		began := time.Now()
		all, each := handshakes(t, p, keys, time.Second, fine)
		if all != 52 || each != 8 {
			t.Errorf("at most %d at once, %d to one address", all, each)
		}
		if took := time.Since(began); took != 8*time.Second { // 50 at 2, 4, 8, 8, ... a second
			t.Errorf("took %v", took)
		}
		many := make([]string, 1000)
		for i := range many {
			many[i] = string(rune(i + 1000))
		}
		if all, _ := handshakes(t, p, many, time.Second, fine); all != 100 {
			t.Errorf("at most %d at once", all)
		}
		if len(p.addrs) != 0 || p.all.in != 0 {
			t.Errorf("%d addresses remembered, %d in", len(p.addrs), p.all.in)
		}
	})
}

// TestPacerLearns halves at a sign of too much, and grows again.
func TestPacerLearns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(100, 8)
		dropped := &Error{Kind: KindRefused, Stage: StageBanner}
		keys := make([]string, 20)
		handshakes(t, p, keys[:1], 0, func(int) error { return dropped })
		if limit := p.addrs[""].limit; limit != 1 {
			t.Errorf("limit %d after one sign", limit)
		}
		if _, each := handshakes(t, p, keys[:2], time.Second, fine); each != 1 {
			t.Errorf("%d at once", each)
		}
		if _, each := handshakes(t, p, keys[:8], time.Second, fine); each <= 2 {
			t.Errorf("%d at once after two successes", each)
		}
	})
}

// TestRefusedLoginsAtOneAddress stops before a daemon bans us, until it has
// forgotten.
func TestRefusedLoginsAtOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(100, 8)
		refused := &Error{Kind: KindAuth, Stage: StageAuth}
		try := func() int {
			var mu sync.Mutex
			tried := 0
			handshakes(t, p, make([]string, 30), time.Second, func(int) error {
				mu.Lock()
				defer mu.Unlock()
				tried++
				return refused
			})
			return tried
		}
		if n := try(); n != 2 {
			t.Errorf("%d logins tried", n)
		}
		if n := try(); n != 0 {
			t.Errorf("%d logins tried again", n)
		}
		_, err := p.enter(t.Context(), "")
		if wantKind(t, err, KindAuth); !err.(*Error).untried {
			t.Error("a login that was not tried counts as refused")
		}
		time.Sleep(refusalTime)
		if n := try(); n != 1 {
			t.Errorf("%d logins tried after a while", n)
		}
		if n, _ := handshakes(t, p, []string{"other"}, 0, fine); n != 1 {
			t.Error("another address is not let in")
		}
	})
}

// TestThrottleBackOff keeps away from a host for 15 s, then longer each time.
func TestThrottleBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(100, 8)
		throttled := &Error{Kind: KindThrottled, Stage: StageBanner}
		least := minThrottleWait
		for range 4 {
			leave, err := p.enter(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			leave(throttled)
			began := time.Now()
			for {
				leave, err := p.enter(t.Context(), "a")
				if err == nil {
					leave(errors.New("some other trouble"))
					break
				}
				wantKind(t, err, KindThrottled)
				time.Sleep(100 * time.Millisecond)
			}
			if wait := time.Since(began); wait < least || wait > least*5/4+time.Second {
				t.Errorf("waited %v, want %v and up to a quarter more", wait, least)
			}
			least *= 2
		}
	})
}

func TestPacerWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(100, 1)
		leave, err := p.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.enter(ctx, "a"); err == nil {
			t.Error("entered a full place")
		}
		leave(nil)
		if leave, err = p.enter(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		leave(nil)
		if len(p.addrs) != 0 || p.all.in != 0 {
			t.Errorf("%d addresses remembered, %d in", len(p.addrs), p.all.in)
		}
	})
}
