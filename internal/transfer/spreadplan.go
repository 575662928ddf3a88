package transfer

import (
	"fmt"
	"slices"
)

// spreadPlan decides who gets one file from whom. It knows no connections, no
// clock and no lock, so that any course of events can be played to it.
//
// Each host asks next until it has the file, and tells what came of the answer: a
// seed by seeded, one that was to be served by served, both by holds if the file
// is there then. Whenever something was told, those who were to wait ask again.
type spreadPlan struct {
	seeds  int // hosts that get it from here
	fanout int // hosts that one serves at once

	seeding, seeded int // hosts that get it from here as seeds, and have got it
	serving         int // hosts that others serve now
	worked, failed  int // copies from host to host that did, and did not
	holders         []*holder
	off             string // why nobody serves any more; empty while some do
}

// holder is a host that has the file.
type holder struct {
	host, path string
	busy       int // hosts that it serves now
	served     int // and has served
	strikes    int // copies that failed where it is not known at whose end
	gone       string
	far        *holding // the way to it
}

// maxCopies is from how many hosts one tries to get the file before it gets it
// from here.
const maxCopies = 2

// enoughFailed is how many copies may fail, where none ever worked, before
// nobody tries any more; there may be as many as there are seeds.
const enoughFailed = 3

// turnKind is what a host is to do.
type turnKind string

const (
	turnSeed   turnKind = "seed"   // take it from here, for others
	turnDirect turnKind = "direct" // take it from here
	turnFrom   turnKind = "from"   // take it from another host
	turnWait   turnKind = "wait"   // ask again when something has happened
)

// turn is what a host is to do next.
type turn struct {
	kind turnKind
	from *holder
	why  string // of turnDirect
}

// tries are what a host has tried before.
type tries struct {
	copies int
	avoid  []*holder
	why    string // the last did not work
	final  bool   // it cannot be served by anybody
	late   bool   // it has waited for long enough
}

// next says what a host is to do.
func (p *spreadPlan) next(t *tries) turn {
	switch {
	case p.off != "":
		return turn{kind: turnDirect, why: firstOf(t.why, p.off)}
	case t.final || t.copies >= maxCopies:
		return turn{kind: turnDirect, why: t.why}
	case p.seeding+p.seeded < p.seeds:
		p.seeding++
		return turn{kind: turnSeed}
	}
	var best *holder
	coming := p.seeding > 0 || p.serving > 0
	for _, h := range p.holders {
		if h.gone != "" || slices.Contains(t.avoid, h) {
			continue
		}
		coming = true
		if h.busy < p.fanout && (best == nil || h.busy < best.busy || h.busy == best.busy && h.served < best.served) {
			best = h
		}
	}
	switch {
	case best != nil:
		best.busy++
		p.serving++
		return turn{kind: turnFrom, from: best}
	case coming && !t.late:
		return turn{kind: turnWait}
	case t.late:
		return turn{kind: turnDirect, why: firstOf(t.why, "nothing came on at the hosts that had it or were getting it")}
	}
	return turn{kind: turnDirect, why: firstOf(t.why, p.lastGone(), "no host had it")}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// lastGone is why the last holder that serves no more does not.
func (p *spreadPlan) lastGone() string {
	for _, h := range slices.Backward(p.holders) {
		if h.gone != "" {
			return h.gone
		}
	}
	return ""
}

// seed tells how a turnSeed ended.
func (p *spreadPlan) seed(ok bool) {
	p.seeding--
	if ok {
		p.seeded++
	}
}

// fault says at whose end a copy from host to host failed.
type fault string

const (
	faultNone   fault = ""
	faultSeed   fault = "seed"   // the host that has it can serve nobody
	faultTarget fault = "target" // the host that is to have it cannot be served by anybody
	faultEither fault = "either" // it is not known, or between the two
	faultLeft   fault = "left"   // at nobody's: it was stopped
)

// served tells how a turnFrom of a host with those tries ended, and why.
func (p *spreadPlan) served(t *tries, h *holder, f fault, why string) {
	h.busy--
	p.serving--
	switch f {
	case faultLeft:
		return
	case faultNone:
		h.served++
		p.worked++
		return
	case faultSeed:
		h.gone = firstOf(h.gone, why)
	case faultTarget:
		t.final = true
	case faultEither:
		if h.strikes++; h.strikes > h.served+1 {
			h.gone = firstOf(h.gone, why)
		}
	}
	t.copies++
	t.avoid = append(t.avoid, h)
	t.why = why
	p.failed++
	if p.worked == 0 && p.failed >= max(enoughFailed, min(p.seeds, 2*enoughFailed)) && p.off == "" {
		p.off = fmt.Sprintf("none of %d copies from host to host worked", p.failed)
	}
}

// holds takes note of a host that has the file.
func (p *spreadPlan) holds(h *holder) { p.holders = append(p.holders, h) }
