package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/facts"
	"fleet/inventory"
)

// choiceFlags narrow what a pattern selects, and put it in order.
type choiceFlags struct {
	limits []string
	split  string
	pick   int
	order  string
	seed   string
	age    time.Duration

	total int // hosts that the pattern alone selects
}

var hostOrders = []string{"inventory", "name", "shuffle"}

func (f *choiceFlags) declare(c *cobra.Command, complete cobra.CompletionFunc) {
	fs := c.Flags()
	fs.StringArrayVar(&f.limits, "limit", nil, "take only hosts that `PATTERN` selects too, may be given again")
	fs.StringVar(&f.split, "split", "", "take only share `I/N` of the hosts, by a hash of their names")
	fs.IntVar(&f.pick, "pick", 0, "take only `N` of the hosts, by chance")
	fs.StringVar(&f.order, "order", "inventory", "`ORDER` of the hosts: inventory, name, shuffle")
	fs.StringVar(&f.seed, "seed", "", "`NUMBER` that decides --pick and shuffle (default: a new one, which is told)")
	fs.DurationVar(&f.age, "facts-age", facts.MaxAge, "how old facts in patterns may be; 0 for any age")
	_ = c.RegisterFlagCompletionFunc("limit", complete) // fails for an undeclared flag only
	fixedCompletion(c, "order", hostOrders)
	for _, flag := range []string{"split", "pick", "seed", "facts-age"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
}

// targets loads the inventory and gives the hosts to work on, as choose does;
// that there is none is an error.
func (f *inventoryFlags) targets(e *env, pattern string) (*inventory.Inventory, []*inventory.Host, error) {
	f.want(pattern)
	inv, err := f.load(e)
	if err != nil {
		return nil, nil, err
	}
	hosts, err := f.choose(e, inv, pattern)
	if err == nil && len(hosts) == 0 {
		err = f.none(pattern)
	}
	return inv, hosts, err
}

// choose gives the hosts that pattern selects, as far as the flags let them
// through and in the order that they want.
func (f *inventoryFlags) choose(e *env, inv *inventory.Inventory, pattern string) ([]*inventory.Host, error) {
	if e.rerun != nil {
		return e.rerun.choose(inv)
	}
	hosts, err := inv.Select(pattern)
	if err != nil {
		return nil, usage(err)
	}
	if len(f.words.words) > 0 {
		hosts = namedAmong(hosts, f.named)
	}
	f.choice.total = len(hosts)
	return f.choice.apply(e, inv, hosts)
}

// declareChoice declares the flags that narrow and order what a pattern selects.
func (f *inventoryFlags) declareChoice(e *env, c *cobra.Command) {
	f.choice.declare(c, f.completePattern(e))
}

// facts are those that decide in patterns.
func (f *choiceFlags) facts(e *env) inventory.Facts {
	return &facts.Lookup{Store: facts.Open(factsFolder(e)), MaxAge: f.age, Now: time.Now()}
}

// narrow takes away what --limit and --split do.
func (f *choiceFlags) narrow(inv *inventory.Inventory, hosts []*inventory.Host) ([]*inventory.Host, error) {
	for _, limit := range f.limits {
		allowed, err := inv.Select(limit)
		if err != nil {
			return nil, usage(fmt.Errorf("--limit: %w", err))
		}
		hosts = inBoth(hosts, allowed)
	}
	if f.split != "" {
		share, err := inventory.ParseShare(f.split)
		if err != nil {
			return nil, usage(fmt.Errorf("--split: %w", err))
		}
		hosts = share.Among(hosts)
	}
	return hosts, nil
}

// want notes which groups are asked for, before the inventory is read.
func (f *inventoryFlags) want(pattern string) {
	f.words.want(pattern)
	f.words.want(f.choice.limits...)
}

// implied puts "all" before the command of a run where -w already says which
// hosts; dash is the number of words before "--".
func (f *inventoryFlags) implied(args []string, dash int) ([]string, int) {
	if dash == 0 && len(f.words.words) > 0 {
		return append([]string{inventory.All}, args...), 1
	}
	return args, dash
}

// namedAmong gives those of hosts that are called so, in their order.
func namedAmong(hosts []*inventory.Host, names []string) []*inventory.Host {
	in := make(map[string]bool, len(names))
	for _, name := range names {
		in[name] = true
	}
	var out []*inventory.Host
	for _, h := range hosts {
		if in[h.Name] {
			out = append(out, h)
		}
	}
	return out
}

// apply narrows and orders hosts.
func (f *choiceFlags) apply(e *env, inv *inventory.Inventory, hosts []*inventory.Host) ([]*inventory.Host, error) {
	hosts, err := f.narrow(inv, hosts)
	if err != nil {
		return nil, err
	}
	if f.pick < 0 {
		return nil, usagef("--pick %d: at least 1", f.pick)
	}
	picks := f.pick > 0 && f.pick < len(hosts)
	seed, err := f.theSeed(picks || f.order == "shuffle")
	if err != nil {
		return nil, err
	}
	if picks {
		before := len(hosts)
		hosts = inventory.Pick(hosts, f.pick, seed)
		f.tellSeed(e, fmt.Sprintf("%d of %d hosts picked", len(hosts), before), seed)
	}
	switch f.order {
	case "", "inventory":
	case "name":
		hosts = inventory.SortByName(hosts)
	case "shuffle":
		hosts = inventory.Shuffle(hosts, seed)
		if !picks {
			f.tellSeed(e, "hosts shuffled", seed)
		}
	default:
		return nil, usage(fmt.Errorf("unknown order %s", quoteWord(f.order)), "--order takes inventory, name, shuffle")
	}
	return hosts, nil
}

// inBoth gives those of hosts that are among allowed too, in their order.
func inBoth(hosts, allowed []*inventory.Host) []*inventory.Host {
	in := make(map[*inventory.Host]bool, len(allowed))
	for _, h := range allowed {
		in[h] = true
	}
	var out []*inventory.Host
	for _, h := range hosts {
		if in[h] {
			out = append(out, h)
		}
	}
	return out
}

// theSeed is --seed, or a new one.
func (f *choiceFlags) theSeed(used bool) (uint64, error) {
	if f.seed == "" {
		return uint64(rand.Uint32()), nil
	}
	seed, err := strconv.ParseUint(f.seed, 10, 64)
	if err != nil {
		return 0, usagef("--seed %s: not a whole number", quoteWord(f.seed))
	}
	if !used && f.pick == 0 {
		return 0, usage(errors.New("--seed decides nothing here"), "it goes with --pick N or --order shuffle")
	}
	return seed, nil
}

// tellSeed says how to have the same choice again, where it was left to chance.
func (f *choiceFlags) tellSeed(e *env, what string, seed uint64) {
	if f.seed == "" {
		tell(e.stderr, "fleet: ", fmt.Sprintf("%s; --seed %d does the same again", what, seed))
	}
}

// none is the error of a command that has no host to work on.
func (f *inventoryFlags) none(pattern string) error {
	if f.choice.total == 0 {
		return usagef("%s selects no host", quoteWord(pattern))
	}
	what := "--limit"
	if f.choice.split != "" {
		what = "--split " + f.choice.split
		if len(f.choice.limits) > 0 {
			what = "--limit and " + what
		}
	}
	return usagef("%s selects %s, and %s leaves none of them", quoteWord(pattern), amount(f.choice.total, "host"), what)
}

// narrowed is an inventory whose every pattern is narrowed by the flags.
type narrowed struct {
	*inventory.Inventory
	choice *choiceFlags
}

func (n narrowed) Select(pattern string) ([]*inventory.Host, error) {
	hosts, err := n.Inventory.Select(pattern)
	if err != nil {
		return nil, err
	}
	return n.choice.narrow(n.Inventory, hosts)
}
