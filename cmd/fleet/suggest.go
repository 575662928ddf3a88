package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// likely gives those of names that were most likely meant by a word that is none
// of them: that begin with it, or else that it begins with, or that are a slip of
// the keys away.
func likely(word string, names []string) []string {
	const shortest, most = 2, 3
	if len(word) < shortest {
		return nil
	}
	within := func(slips int, fit func(name string) bool) []string {
		near := &cobra.Command{SuggestionsMinimumDistance: slips} // what cobra has for commands holds for all names
		for _, name := range names {
			if fit(name) {
				near.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
			}
		}
		list := slices.Compact(slices.Sorted(slices.Values(near.SuggestionsFor(word))))
		return list[:min(len(list), most)]
	}
	all := func(string) bool { return true }
	slips := 1
	if len(word) > 3 {
		slips = 2 // also two letters the wrong way round
	}
	if list := within(0, all); len(list) > 0 {
		return list
	}
	if list := within(slips, all); len(list) > 0 {
		return list
	}
	var list []string
	for _, name := range names {
		if len(name) > shortest && strings.HasPrefix(word, name) {
			list = append(list, name)
		}
	}
	return list[:min(len(list), most)]
}

// didYouMean asks for names, each behind its prefix; empty if there are none.
func didYouMean(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	text := "did you mean " + prefix + names[0]
	for i, name := range names[1:] {
		joint := ", "
		if i == len(names)-2 {
			joint = " or "
		}
		text += joint + prefix + name
	}
	return text + "?"
}

// nearFlags is the hint for a flag that the command does not have; empty if none
// is like it.
func nearFlags(c *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	word := unknown.GetSpecifiedName()
	if letters := unknown.GetSpecifiedShortnames(); letters != "" { // -older-than
		word, _, _ = strings.Cut(letters, "=")
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return didYouMean("--", likely(word, names))
}

// nearCommands is the hint for a word that is none of the commands below c.
func nearCommands(c *cobra.Command, word string) string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return didYouMean(c.CommandPath()+" ", likely(word, names))
}

// noSuch says what is wrong with the words of a command that takes none: those
// that stand behind one with commands below it were to be one of these.
func noSuch(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.HasAvailableSubCommands():
		return usage(fmt.Errorf("unknown command %s", quoteWord(args[0])), nearCommands(c, args[0]), "'"+c.CommandPath()+" --help' lists the commands")
	}
	return usage(fmt.Errorf("'%s' takes no words, and %s is one", c.CommandPath(), quoteWord(args[0])), "usage: "+c.UseLine())
}
