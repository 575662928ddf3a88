package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fleet/internal/trust"
)

const exitHelpApprove = `
EXIT STATUS
  0  all hosts answered and     3    some keys were not approved, or are
     are known now                   changed, revoked or not valid
  1  an error of fleet's own    4    some hosts did not answer
  2  usage, inventory or        5    both
     configuration              124  --deadline passed
                                130  interrupted`

type trustApproveOptions struct {
	trustOptions
	yes  bool
	from string
}

func newTrustApproveCommand(e *env) *cobra.Command {
	o := &trustApproveOptions{}
	c := &cobra.Command{
		Use:   "approve [flags] PATTERN",
		Short: "Write the keys of new hosts to known_hosts, after one question",
		Long: `Asks the hosts that PATTERN selects for their keys, shows those that known_hosts
does not have, and asks once for all whether to write them down. Changed,
revoked and invalid keys are shown, and never written.

--from FILE approves only keys that are in FILE, one a line: a fingerprint
SHA256:..., also behind names and as ssh-keygen -l prints it; a public key; or a
line of known_hosts, which holds for the hosts that it names. With --yes nothing
is asked, which needs --from.`,
		Example: `  fleet trust approve 'web[01-40]'
  fleet trust approve --from fingerprints.txt web
  fleet trust approve --yes --from ./known_hosts.golden all`,
		ValidArgsFunction: o.inventory.completePattern(e),
		Annotations:       map[string]string{"exit": exitHelpApprove},
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return runTrustApprove(c.Context(), e, o, args[0])
		},
	}
	o.declare(e, c)
	c.Flags().BoolVar(&o.yes, "yes", false, "do not ask; needs --from")
	c.Flags().StringVar(&o.from, "from", "", "approve only keys that are in `FILE`, - for standard input")
	return c
}

func runTrustApprove(ctx context.Context, e *env, o *trustApproveOptions, pattern string) error {
	if o.yes && o.from == "" {
		return usage(errors.New("--yes without --from would approve whatever answers"),
			"--from FILE names the fingerprints that you know to be right; without --yes you are asked once")
	}
	if !o.yes && (o.connect.noInput || !hasTerminal()) {
		return usage(fmt.Errorf("approve: %w", errNoPrompt), "--yes --from FILE approves the keys that are in FILE")
	}
	vouched, err := o.vouched(e)
	if err != nil {
		return usage(err)
	}
	s, err := o.scan(ctx, e, pattern, false)
	if err != nil {
		return err
	}
	defer s.stop.release()
	a := &approval{s: s, e: e, o: o}
	for i := range s.Keys {
		switch k := &s.Keys[i]; {
		case k.State != trust.New:
		case vouched != nil && !vouched.Has(k):
			a.strangers = append(a.strangers, k.Host)
		default:
			a.wanted = append(a.wanted, *k)
		}
	}
	return a.settle(ctx)
}

// vouched is the list that --from names, nil if there is none.
func (o *trustApproveOptions) vouched(e *env) (*trust.Vouched, error) {
	if o.from == "" {
		return nil, nil
	}
	var text []byte
	var err error
	if o.from == "-" {
		text, err = io.ReadAll(io.LimitReader(e.stdin, maxVouched))
	} else {
		text, err = os.ReadFile(o.from)
	}
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	v, err := trust.ParseVouched(o.from, string(text))
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	return v, nil
}

// maxVouched bounds what --from reads from standard input, in bytes.
const maxVouched = 64 << 20

// approval is what a user is asked to approve.
type approval struct {
	s         *scanned
	e         *env
	o         *trustApproveOptions
	wanted    []trust.Key
	strangers []string // hosts with a new key that --from does not have
	done      trust.Approval
}

// settle shows the keys, asks, writes, and tells how it went.
func (a *approval) settle(ctx context.Context) error {
	if a.o.output != "json" {
		open := slices.DeleteFunc(slices.Clone(a.s.Keys), func(k trust.Key) bool { return k.State == trust.Known })
		err := a.s.show(func() error { return a.o.view(a.e).Write(a.e.stdout, trust.Groups(open)) })
		if err != nil {
			return err
		}
		a.s.remarks(a.e, &a.o.trustOptions)
		a.s.changedHint(a.e)
	}
	a.tellStrangers()
	yes, err := a.agreed(ctx)
	if err != nil {
		return err
	}
	var writeErr error
	if yes {
		a.done, writeErr = trust.Approve(a.wanted)
	}
	if a.o.output == "json" {
		err = a.s.show(func() error { return a.s.WriteJSON(a.e.stdout, a.s.Keys, a.isWritten) })
		a.s.remarks(a.e, &a.o.trustOptions)
	}
	a.tell(yes)
	if err := errors.Join(err, writeErr); err != nil {
		return err
	}
	bad := a.s.bad() || len(a.strangers) > 0 || len(a.done.Refused) > 0 || !yes && len(a.wanted) > 0
	return a.s.status(bad)
}

func (a *approval) tellStrangers() {
	if len(a.strangers) > 0 {
		v := trust.View{Short: isTerminal(a.e.stderr)}
		fmt.Fprintf(a.e.stderr, "%s: not approved: the new key is not in %s\n", v.Hosts(a.strangers), a.o.from)
	}
}

// agreed asks once for all keys, unless that is settled.
func (a *approval) agreed(ctx context.Context) (bool, error) {
	switch {
	case a.s.summary.Interrupted:
		return false, nil
	case len(a.wanted) == 0:
		return false, nil
	case a.o.yes:
		return true, nil
	}
	question := fmt.Sprintf("write %s of %s to known_hosts? yes or no", amount(keyCount(a.wanted), "new key"), amount(hostCount(a.wanted), "host"))
	return a.s.ask.confirm(ctx, question)
}

func (a *approval) isWritten(k *trust.Key) bool {
	return slices.ContainsFunc(a.done.Written, func(w trust.Key) bool {
		return w.Addr == k.Addr && w.Fingerprint() == k.Fingerprint()
	})
}

// tell says what was written.
func (a *approval) tell(yes bool) {
	v := trust.View{Short: isTerminal(a.e.stderr)}
	for _, k := range a.done.Refused {
		fmt.Fprintf(a.e.stderr, "%s: not approved: %s\n", v.Hosts([]string{k.Host}), k.Refusal)
	}
	switch {
	case len(a.wanted) == 0:
		fmt.Fprintln(a.e.stderr, "nothing to approve")
	case len(a.done.Written) > 0:
		fmt.Fprintf(a.e.stderr, "approved %s of %s, written to %s\n", amount(keyCount(a.done.Written), "key"),
			amount(hostCount(a.done.Written), "host"), strings.Join(a.done.Files, ", "))
	case !yes:
		fmt.Fprintln(a.e.stderr, "nothing was written")
	}
}

// keyCount is how many different keys there are, as known_hosts counts.
func keyCount(keys []trust.Key) int {
	seen := make(map[string]bool)
	for _, k := range keys {
		seen[k.Addr+" "+k.Fingerprint()] = true
	}
	return len(seen)
}

func hostCount(keys []trust.Key) int {
	names := make(map[string]bool)
	for _, k := range keys {
		names[k.Host] = true
	}
	return len(names)
}

// amount is "1 key", "2 keys".
func amount(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// hasTerminal says whether there is a terminal to ask on.
func hasTerminal() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	tty.Close()
	return true
}

// confirm asks a question on the terminal that yes or no answers; anything but
// yes is no.
func (p *prompter) confirm(ctx context.Context, question string) (bool, error) {
	if !p.allowed {
		return false, errNoPrompt
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false, errNoPrompt
	}
	fmt.Fprintf(tty, "%s: ", question)
	replies := make(chan string, 1)
	go func() { // left behind, until the process ends, by a user who does not answer
		defer tty.Close()
		line, _ := bufio.NewReader(tty).ReadString('\n') // an end without an answer is no
		replies <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case line := <-replies:
		return line == "yes" || line == "y", nil
	case <-p.stopped:
		err = errInterrupted
	case <-ctx.Done():
		err = ctx.Err()
	}
	fmt.Fprintln(tty)
	return false, err
}
