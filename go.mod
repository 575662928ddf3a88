module fleet

go 1.26.0

require (
	// Globs with "**": files to push and pull, patterns of .fleetignore.
	github.com/bmatcuk/doublestar/v4 v4.10.4
	// Tests: stripping of terminal sequences. Not in the program: go-runewidth below it
	// fills tables for 20 ms at every start.
	github.com/charmbracelet/x/ansi v0.11.9
	// Width of text on a terminal.
	github.com/clipperhouse/displaywidth v0.11.0
	// Tests: readable differences.
	github.com/google/go-cmp v0.7.0
	// Run ids that sort by time.
	github.com/oklog/ulid/v2 v2.1.2
	// SFTP: all operations on names; open files are read and written by our own requests.
	github.com/pkg/sftp v1.13.12
	// The record: its schema, from any older one to the present.
	github.com/pressly/goose/v3 v3.30.0
	// Unified diffs of text files (fleet push --diff) and of outputs (fleet run --diff), in
	// O(n log n). Tests: one script per behaviour of the command line.
	github.com/rogpeppe/go-internal v1.16.0
	// The command line: commands, flags, help, completion.
	github.com/spf13/cobra v1.10.2
	// Cobra's flags: what is wrong with a flag's value, in our own words.
	github.com/spf13/pflag v1.0.9
	// Tests: no goroutine is left behind.
	go.uber.org/goleak v1.3.0
	// SSH itself: transport, authentication, agent, key parsing. Never below v0.52.0 (ten CVEs of May 2026).
	golang.org/x/crypto v0.58.0
	// Groups of goroutines of which the first error ends all; semaphores with weights.
	golang.org/x/sync v0.25.0
	// TCP_QUICKACK, file locks, resource limits.
	golang.org/x/sys v0.50.0
	// Terminal size, raw mode and prompts without echo.
	golang.org/x/term v0.47.0
	// Bounds how fast files are moved.
	golang.org/x/time v0.16.0
	// hosts.yaml: nodes with line and column, which error messages need.
	gopkg.in/yaml.v3 v3.0.1
	// The record: SQLite without cgo.
	modernc.org/sqlite v1.62.0
)

require (
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/kr/fs v0.1.0 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/lucasb-eyer/go-colorful v1.4.1 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/mattn/go-runewidth v0.0.27 // indirect
	github.com/mfridman/interpolate v0.0.2 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/sethvargo/go-retry v0.5.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	honnef.co/go/tools v0.8.2 // indirect
	modernc.org/libc v1.80.2 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)

tool honnef.co/go/tools/cmd/staticcheck
