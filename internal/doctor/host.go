package doctor

import (
	"time"

	"fleet/scheduler"
)

// State is what became of one host's examination.
type State string

// The states, in the order in which summaries count them.
const (
	Fine        State = "ok"          // examined, nothing wrong
	Troubled    State = "problems"    // examined, with problems
	Unreachable State = "unreachable" // no connection, or it was lost on the way
	Canceled    State = "canceled"    // stopped by the user or the deadline
	Skipped     State = "skipped"     // not begun
)

// Host is what was found out about one host. A part that is nil is not known:
// the examination did not get there, or the host does not tell. Texts from the
// host are as it sent them, and must be made safe before a terminal shows them.
type Host struct {
	Name     string      `json:"name"`
	State    State       `json:"state"`
	Address  string      `json:"address"`
	Port     int         `json:"port"`
	User     string      `json:"user"`
	Via      []string    `json:"via"` // jump hosts, the first to connect to first
	Connect  *Connect    `json:"connect"`
	Server   *string     `json:"server"` // the version line
	Crypto   *Algorithms `json:"algorithms"`
	HostKey  *HostKey    `json:"host_key"`
	Login    *Login      `json:"login"`
	RTT      *Millis     `json:"rtt_ms"`
	Shell    *Shell      `json:"shell"`
	System   *System     `json:"system"`
	Become   *Become     `json:"become"`
	Tools    *Tools      `json:"tools"`
	Tmp      *Tmp        `json:"tmp"`
	Clock    *Clock      `json:"clock"`
	SFTP     *SFTP       `json:"sftp"`
	Sessions *Sessions   `json:"sessions"`
	Problems []Problem   `json:"problems"`

	become wanted
}

// wanted is what the inventory says about becoming another user.
type wanted struct {
	yes    bool
	method string // sudo, su, doas; empty is sudo
}

// Millis is a duration in milliseconds, to a tenth.
type Millis float64

func millis(d time.Duration) Millis {
	return Millis(d.Round(100*time.Microsecond).Microseconds()) / 1000
}

// Connect is how the connection came about. A stage that was not reached took 0.
type Connect struct {
	Addresses []string `json:"addresses"` // what the name means
	Remote    string   `json:"remote"`    // the address that answered; empty if none did
	DNS       Millis   `json:"dns_ms"`
	TCP       Millis   `json:"tcp_ms"`
	Banner    Millis   `json:"banner_ms"`
	Kex       Millis   `json:"kex_ms"`
	Auth      Millis   `json:"auth_ms"`
}

// Algorithms are those that were negotiated.
type Algorithms struct {
	Kex         string `json:"kex"`
	HostKey     string `json:"host_key"`
	Cipher      string `json:"cipher"`
	MAC         string `json:"mac"` // empty where the cipher needs none
	PostQuantum bool   `json:"post_quantum"`
	// Weak are those of them that are not safe any more.
	Weak []string `json:"weak"`
}

// HostKey is the host's key and what is known of it.
type HostKey struct {
	// State is known, pinned, certificate, accepted (new, accepted now), or what
	// is wrong: unknown, changed, revoked, cert.
	State       string `json:"state"`
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`
	// Places are the lines, FILE:LINE, that speak for the key, or against it.
	Places []string `json:"places"`
}

// Login is how the user logged in.
type Login struct {
	Methods []string `json:"methods"`
	Keys    []string `json:"keys"` // type, fingerprint and origin, one for each publickey
}

// Shell is the login shell and what it does before a command runs.
type Shell struct {
	Path    string `json:"path"`
	Profile Millis `json:"profile_ms"` // from the request to the command's first byte, less a round trip
	Stdout  Noise  `json:"noise_stdout"`
	Stderr  Noise  `json:"noise_stderr"`
}

// Noise is what the login shell writes without being asked.
type Noise struct {
	Bytes int64  `json:"bytes"`
	First string `json:"first"` // up to 200 of them
}

// System is the host's system.
type System struct {
	Kernel  string `json:"kernel"`
	Release string `json:"release"`
	Machine string `json:"machine"`
	OS      string `json:"os"` // PRETTY_NAME of os-release(5), empty if there is none
}

// Become says how another user's rights are to be had.
type Become struct {
	Root bool `json:"root"` // the user is root already
	// Sudo is yes (without a password), password, denied, broken, absent, or
	// unknown where it did not answer.
	Sudo string `json:"sudo"`
	Doas bool   `json:"doas"`
	Su   bool   `json:"su"`
}

// Tools are the programs that fleet uses on hosts.
type Tools struct {
	Present []string `json:"present"`
	Missing []string `json:"missing"`
}

// Tmp is the file system under /tmp.
type Tmp struct {
	Mount      string `json:"mount"`
	FreeBytes  int64  `json:"free_bytes"`
	FreeInodes *int64 `json:"free_inodes"` // nil where the file system has no fixed number
	Noexec     *bool  `json:"noexec"`      // nil: not known
	ReadOnly   *bool  `json:"read_only"`
}

// Clock is the host's clock against ours.
type Clock struct {
	// Offset is how far the host is ahead, negative behind, in seconds; it may be
	// wrong by Error.
	Offset float64 `json:"offset_s"`
	Error  float64 `json:"error_s"`
}

// SFTP is the host's sftp subsystem.
type SFTP struct {
	Version int `json:"version"` // of the protocol
}

// Sessions is how many sessions one connection may have at once.
type Sessions struct {
	Open    int  `json:"open"`
	AtLeast bool `json:"at_least"` // more were not tried
}

// Problem is something to be done about a host.
type Problem struct {
	Kind string `json:"kind"`
	// Text is the same for all hosts with the same problem, and names none.
	Text string `json:"text"`
	// Detail is what is particular to this host; may be empty.
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix"`
}

// Report is what became of all hosts, in the order in which they were given.
type Report struct {
	Hosts       []*Host
	Wall        time.Duration
	Deadline    bool // stopped by the deadline
	Interrupted bool // stopped by the user
}

// Counts counts the hosts by their state.
func (r *Report) Counts() map[State]int {
	n := make(map[State]int)
	for _, h := range r.Hosts {
		n[h.State]++
	}
	return n
}

// ended sets the state of a host that was not examined to its end.
func (h *Host) ended(o scheduler.Outcome) {
	switch {
	case o == scheduler.Skipped:
		h.State = Skipped
	case o == scheduler.Canceled:
		h.State = Canceled
	case o != scheduler.OK:
		h.State = Unreachable
	case len(h.Problems) > 0:
		h.State = Troubled
	default:
		h.State = Fine
	}
}
