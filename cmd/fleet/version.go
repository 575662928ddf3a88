package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set at release by -ldflags "-X main.version=v1.2.3".
var version = ""

func newVersionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  fleet version",
		Args:    noSuch,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(e.stdout, versionLine())
			return err
		},
	}
}

// versionLine tells what was built from what: fleet 0.1.0 (abc1234, go1.26.8, linux/amd64).
func versionLine() string {
	number, revision := version, "unknown revision"
	if info, ok := debug.ReadBuildInfo(); ok {
		if number == "" {
			number = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				revision = s.Value[:12]
			}
		}
	}
	if number == "" {
		number = "(devel)"
	}
	return fmt.Sprintf("fleet %s (%s, %s, %s/%s)", number, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
