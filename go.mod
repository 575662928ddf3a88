module fleet

go 1.26

require (
	// SSH itself: transport, authentication, agent, key parsing. Never below v0.52.0 (ten CVEs of May 2026).
	golang.org/x/crypto v0.58.0
	// The command line: commands, flags, help, completion.
	github.com/spf13/cobra v1.10.2
	// hosts.yaml: nodes with line and column, which error messages need.
	gopkg.in/yaml.v3 v3.0.1
	// Terminal size, raw mode and prompts without echo.
	golang.org/x/term v0.47.0
	// TCP_QUICKACK, file locks, resource limits.
	golang.org/x/sys v0.49.0
	// Run ids that sort by time.
	github.com/oklog/ulid/v2 v2.1.2
	// Display width and stripping of terminal sequences.
	github.com/charmbracelet/x/ansi v0.11.9
	// Tests: one script per behaviour of the command line.
	github.com/rogpeppe/go-internal v1.16.0
	// Tests: no goroutine is left behind.
	go.uber.org/goleak v1.3.0
	// Tests: readable differences.
	github.com/google/go-cmp v0.7.0
)
