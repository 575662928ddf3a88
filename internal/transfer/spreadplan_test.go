package transfer

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// plannedHost is a host of TestSpreadPlan: what will come of its tries is chosen by
// the seed.
type plannedHost struct {
	name    string
	t       tries
	now     turn
	has     bool
	over    bool
	broken  bool // serves nobody
	refuses bool // cannot be served
	dies    bool // fails even where it gets the file from here
}

// TestSpreadPlan plays courses of events: every host gets the file or fails by
// itself, none waits for ever, none serves more at once than it may, and none
// that was found broken serves again.
func TestSpreadPlan(t *testing.T) {
	for seed := range uint64(1000) {
		if problem := playSpread(seed); problem != "" {
			t.Fatalf("seed %d: %s", seed, problem)
		}
	}
}

// spreadWorld is one course of events.
type spreadWorld struct {
	p        *spreadPlan
	r        *rand.Rand
	trouble  int // of 10
	hosts    []*plannedHost
	byName   map[string]*plannedHost
	working  []*plannedHost
	fromHere int
}

func newSpreadWorld(seed uint64) *spreadWorld {
	r := rand.New(rand.NewPCG(seed, 1))
	w := &spreadWorld{r: r, p: &spreadPlan{seeds: 1 + r.IntN(5), fanout: 1 + r.IntN(3)}, trouble: r.IntN(4), byName: map[string]*plannedHost{}}
	for i := range 1 + r.IntN(40) {
		h := &plannedHost{name: fmt.Sprint("h", i), broken: r.IntN(10) < w.trouble, refuses: r.IntN(10) < w.trouble, dies: r.IntN(20) < w.trouble}
		w.hosts = append(w.hosts, h)
		w.byName[h.name] = h
	}
	return w
}

// ask has a host ask what it is to do, and says what is wrong with the answer.
func (w *spreadWorld) ask(h *plannedHost) string {
	switch h.now = w.p.next(&h.t); h.now.kind {
	case turnWait:
		return ""
	case turnFrom:
		switch from := h.now.from; {
		case from.busy > w.p.fanout:
			return fmt.Sprintf("%s serves %d at once", from.host, from.busy)
		case from.gone != "":
			return from.host + " serves, and is out of it"
		case from.host == h.name:
			return h.name + " serves itself"
		}
	case turnDirect:
		if h.now.why == "" {
			return h.name + " gets it from here, and nobody says why"
		}
		w.fromHere++
	case turnSeed:
		w.fromHere++
	}
	w.working = append(w.working, h)
	return ""
}

func (w *spreadWorld) waiting() (list []*plannedHost) {
	for _, h := range w.hosts {
		if !h.over && h.now.kind == turnWait {
			list = append(list, h)
		}
	}
	return list
}

func playSpread(seed uint64) string {
	w := newSpreadWorld(seed)
	left := w.r.Perm(len(w.hosts))
	for len(left) > 0 || len(w.working) > 0 {
		var asking []*plannedHost
		if len(left) > 0 && (len(w.working) == 0 || w.r.IntN(2) == 0) {
			asking, left = append(asking, w.hosts[left[0]]), left[1:]
		} else {
			i := w.r.IntN(len(w.working))
			h := w.working[i]
			w.working = append(w.working[:i], w.working[i+1:]...)
			if w.finishTurn(h); !h.over {
				asking = append(asking, h)
			}
			asking = append(asking, w.waiting()...)
		}
		for _, h := range asking {
			if problem := w.ask(h); problem != "" {
				return problem
			}
		}
		if len(w.working) == 0 && len(w.waiting()) > 0 {
			return fmt.Sprintf("%d hosts wait for nothing", len(w.waiting()))
		}
	}
	for _, h := range w.hosts {
		if !h.has && !h.dies {
			return h.name + " did not get it"
		}
	}
	if w.trouble == 0 && w.fromHere > min(w.p.seeds, len(w.hosts)) {
		return fmt.Sprintf("it went %d times from here, with %d seeds", w.fromHere, w.p.seeds)
	}
	return ""
}

// finishTurn ends what a host is doing.
func (w *spreadWorld) finishTurn(h *plannedHost) {
	switch h.now.kind {
	case turnSeed, turnDirect:
		h.over, h.has = true, !h.dies
		if h.has {
			w.p.holds(&holder{host: h.name})
		}
		if h.now.kind == turnSeed {
			w.p.seed(h.has)
		}
	case turnFrom:
		f := faultNone
		switch {
		case w.byName[h.now.from.host].broken:
			f = faultSeed
		case h.refuses || h.dies:
			f = faultTarget
		case w.trouble > 0 && w.r.IntN(20) == 0:
			f = faultEither
		}
		if w.p.served(&h.t, h.now.from, f, "because"); f == faultNone {
			h.over, h.has = true, true
			w.p.holds(&holder{host: h.name})
		}
	}
	if h.over {
		h.now = turn{}
	}
}
