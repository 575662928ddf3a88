package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fleet/internal/engine"
	"fleet/tasks"
)

// retryFlags say which hosts are tried again.
type retryFlags struct {
	times int
	on    string
	wait  time.Duration

	given func(flag string) bool
}

func (f *retryFlags) declare(c *cobra.Command) {
	fs := c.Flags()
	f.given = func(flag string) bool { return fs.Changed(flag) }
	fs.IntVar(&f.times, "retries", 0, "try a host up to `N` times more, by default only where nothing was sent")
	fs.StringVar(&f.on, "retry-on", "unreachable", "`CAUSES` of another try: unreachable, lost, timeout, exit, exit=N, ...")
	fs.DurationVar(&f.wait, "retry-delay", time.Second, "`TIME` before the second try, then doubled, by chance up to half as much more or less")
	fixedCompletion(c, "retry-on", tasks.RetryWords())
	for _, flag := range []string{"retries", "retry-delay"} {
		_ = c.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions) // fails for an undeclared flag only
	}
}

// mostRetries is no host's salvation, but a typing error.
const mostRetries = 1000

func (f *retryFlags) apply(req *engine.Request) error {
	switch {
	case f.times < 0 || f.times > mostRetries:
		return usagef("--retries %d: from 0 to %d", f.times, mostRetries)
	case f.wait <= 0 || f.wait > tasks.RetryMost:
		return usagef("--retry-delay %v: more than 0, and %v at most", f.wait, tasks.RetryMost)
	case f.times == 0 && (f.given("retry-on") || f.given("retry-delay")):
		return usage(errors.New("--retry-on and --retry-delay are about --retries, and there are none"), "--retries 3 tries a host up to 3 times more")
	}
	on, err := tasks.ParseRetryOn(f.on)
	if err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	req.Retry = tasks.Retry{Times: f.times, On: on, Wait: f.wait}
	return nil
}
