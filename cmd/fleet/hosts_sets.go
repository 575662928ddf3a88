package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"fleet/inventory"
)

// setOptions are what 'fleet hosts fold' and 'expand' do with host sets, as
// ClusterShell's nodeset does.
type setOptions struct {
	steps      []setStep // in the order given
	count      bool
	split      int
	contiguous bool
	slice      string
	pick       int
	seed       string
	separator  string
	format     string
}

// setStep is one --exclude, --intersect or --xor.
type setStep struct {
	op  byte
	set string
}

// stepFlag adds steps to the list that several flags share, so that their order
// on the command line counts.
type stepFlag struct {
	op   byte
	list *[]setStep
}

func (f stepFlag) String() string { return "" }
func (f stepFlag) Type() string   { return "set" }
func (f stepFlag) Set(s string) error {
	*f.list = append(*f.list, setStep{f.op, s})
	return nil
}

const setsHelp = `
--exclude, --intersect and --xor change the set, in the order in which they are
given. Then --slice and --pick take some of the hosts, and --split or
--contiguous make several sets of them. Order is that of ClusterShell's nodeset:
by name, numbers by length and value.`

func (o *setOptions) declare(c *cobra.Command) {
	fs := c.Flags()
	fs.VarP(stepFlag{'!', &o.steps}, "exclude", "x", "without the hosts of `SET`")
	fs.Var(stepFlag{'&', &o.steps}, "intersect", "only hosts that are in `SET` too")
	fs.Var(stepFlag{'^', &o.steps}, "xor", "hosts that are in one of both, but not in both: what is before, and `SET`")
	fs.BoolVarP(&o.count, "count", "c", false, "print how many hosts there are")
	fs.IntVar(&o.split, "split", 0, "make `N` sets, as equal as can be")
	fs.BoolVar(&o.contiguous, "contiguous", false, "make a set of each run of numbers")
	fs.StringVar(&o.slice, "slice", "", "take hosts by their `PLACES` from 0: 0-9,15")
	fs.IntVar(&o.pick, "pick", 0, "take `N` hosts by chance")
	fs.StringVar(&o.seed, "seed", "", "`NUMBER` that decides --pick (default: a new one, which is told)")
	fs.StringVarP(&o.separator, "separator", "S", "\n", "`TEXT` between what is printed; \\n and \\t are read")
	fs.StringVarP(&o.format, "format", "O", "%s", "`TEXT` in which %s is a host, or a set")
	for _, flag := range []string{"exclude", "intersect", "xor", "split", "slice", "pick", "seed", "separator", "format"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions) // fails for an undeclared flag only
	}
}

func newHostsExpandCommand(e *env) *cobra.Command {
	o := &setOptions{}
	c := &cobra.Command{
		Use:   "expand [flags] SET...",
		Short: "Write out the hosts of host sets, one a line",
		Long: `Writes out the hosts of the given host sets, one name a line. Without an
argument the sets are read from standard input. No inventory is needed.
` + setsHelp,
		Example: `  fleet hosts expand 'web[01-20]'
  fleet hosts expand -S , -x web07 'web[01-20]'
  fleet hosts expand 'rack[1-2]n[01-04/2],db1'`,
		RunE: func(_ *cobra.Command, args []string) error { return runHostsSets(e, o, args, true) },
	}
	o.declare(c)
	return c
}

func newHostsFoldCommand(e *env) *cobra.Command {
	o := &setOptions{}
	c := &cobra.Command{
		Use:   "fold [flags] [NAME...]",
		Short: "Write host names as one host set; count, split, subtract sets",
		Long: `Writes the given names or host sets, or those on standard input, as one host
set, the short form in which fleet shows many hosts. No inventory is needed.
` + setsHelp,
		Example: `  fleet hosts fold web01 web02 web03
  fleet hosts web | fleet hosts fold
  fleet hosts fold -c 'web[01-20]' -x 'web[05-09]'
  fleet hosts fold 'web[01-20]' --intersect 'web[15-30]' --split 2`,
		RunE: func(_ *cobra.Command, args []string) error { return runHostsSets(e, o, args, false) },
	}
	o.declare(c)
	return c
}

func runHostsSets(e *env, o *setOptions, sets []string, expand bool) error {
	names, err := o.read(e, sets)
	if err != nil {
		return err
	}
	plain := len(o.steps) == 0 && o.slice == "" && o.pick == 0 && o.split == 0 && !o.contiguous
	if expand && plain && !o.count { // in the order written, which need not be known as a whole
		return o.print(e, names)
	}
	if plain && !o.count { // folding brings its own order
		if len(names) == 0 {
			return nil
		}
		return o.print(e, []string{inventory.Fold(names)})
	}
	for _, s := range o.steps {
		other, err := inventory.ExpandSet(s.set)
		if err != nil {
			return usage(err)
		}
		names = inventory.Combine(names, s.op, other)
	}
	if names, err = o.take(e, ordered(names)); err != nil {
		return err
	}
	if o.count {
		_, err := fmt.Fprintln(e.stdout, len(names))
		return err
	}
	groups, err := o.groups(names)
	if err != nil {
		return err
	}
	var out []string
	for _, g := range groups {
		if expand {
			out = append(out, g...)
		} else {
			out = append(out, inventory.Fold(g))
		}
	}
	return o.print(e, out)
}

// read gives the names of sets, or of what standard input has.
func (o *setOptions) read(e *env, sets []string) (names []string, err error) {
	var bad error
	err = e.eachWord(sets, func(word string) {
		if bad != nil {
			return
		}
		expanded, err := inventory.ExpandSet(word)
		if err != nil {
			bad = usage(err)
		}
		names = append(names, expanded...)
	})
	return names, errors.Join(err, bad)
}

// ordered gives names in nodeset's order, each once.
func ordered(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	out, err := inventory.ExpandSet(inventory.Fold(names))
	if err != nil { // names that are no part of a set
		return names
	}
	return out
}

// take takes some of the names, by place or by chance.
func (o *setOptions) take(e *env, names []string) ([]string, error) {
	if o.slice != "" {
		places, err := inventory.ExpandSet("[" + o.slice + "]")
		if err != nil {
			return nil, usage(fmt.Errorf("--slice %s: want places as in 0-9,15", quoteWord(o.slice)))
		}
		var some []string
		for _, place := range places {
			if i, err := strconv.Atoi(place); err == nil && i < len(names) {
				some = append(some, names[i])
			}
		}
		names = ordered(some)
	}
	if o.pick < 0 || o.split < 0 {
		return nil, usagef("--pick and --split: at least 1")
	}
	if o.pick == 0 || o.pick >= len(names) {
		return names, nil
	}
	seed := uint64(rand.Uint32())
	if o.seed != "" {
		var err error
		if seed, err = strconv.ParseUint(o.seed, 10, 64); err != nil {
			return nil, usagef("--seed %s: not a whole number", quoteWord(o.seed))
		}
	}
	hosts := make([]*inventory.Host, len(names))
	for i, name := range names {
		hosts[i] = &inventory.Host{Name: name}
	}
	picked := hostNames(inventory.Pick(hosts, o.pick, seed))
	if o.seed == "" {
		tell(e.stderr, "fleet: ", fmt.Sprintf("%d of %d hosts picked; --seed %d does the same again", len(picked), len(names), seed))
	}
	return picked, nil
}

// groups makes the sets that are asked for.
func (o *setOptions) groups(names []string) ([][]string, error) {
	switch {
	case o.split > 0 && o.contiguous:
		return nil, usagef("--split and --contiguous exclude each other")
	case o.split > 0:
		return inventory.Split(names, o.split), nil
	case o.contiguous:
		return inventory.Contiguous(names), nil
	case len(names) == 0:
		return nil, nil
	}
	return [][]string{names}, nil
}

// print writes what is to be seen, and a line end.
func (o *setOptions) print(e *env, list []string) error {
	between := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`).Replace(o.separator)
	if !strings.Contains(o.format, "%s") {
		return usagef("--format %s holds no %%s", quoteWord(o.format))
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10)
	for i, text := range list {
		if i > 0 {
			out.WriteString(between) //nolint:errcheck // a bufio.Writer keeps its error until Flush
		}
		if o.format != "%s" {
			text = strings.ReplaceAll(o.format, "%s", text)
		}
		out.WriteString(text) //nolint:errcheck // as above
	}
	if len(list) > 0 {
		out.WriteByte('\n') //nolint:errcheck // as above
	}
	return out.Flush()
}
