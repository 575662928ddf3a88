package transfer

import (
	"io"
	"time"
)

// Push copies files of this machine to hosts. Prepare reads the sources, then Do
// serves any number of hosts at once, then Close cleans up.
type Push struct {
	// Sources are files, folders and patterns of this machine, or Stdin; they and
	// Dst may hold templates that name the host. A folder is put into Dst under
	// its own name, or with a slash at its end, its content is. A file is put into
	// Dst if that is a folder, has a slash at its end, or there are more sources;
	// else it becomes Dst.
	Sources []string
	Dst     string
	Stdin   io.Reader // what the source Stdin means

	Links    Links
	Filter   *Filter
	Template bool   // files are templates, rendered for each host
	Mode     Mode   // what becomes of the sources' permissions
	Owner    string // names on the host; empty: the sources' if root writes them
	Group    string

	Delete    bool // what is not in a source folder is removed from its copy
	MaxDelete int  // more than these are not deleted: the host fails before anything is done
	Backup    bool // what is replaced or deleted is kept under its name with "~"
	AtomicDir bool // folders are exchanged whole
	Checksum  bool // files are the same if their SHA-256 is, and not by size and time
	NoVerify  bool
	Sync      bool // all is on the host's disk before it is done
	DryRun    bool
	Diff      bool
	Verbose   bool              // tell each file
	Warn      func(text string) // of what is not copied
	Bandwidth Bandwidth
	Spread    *Spread // nil: all goes from here to each host

	trees      map[string]*tree
	hosts      map[string]*tree
	warned     map[string]bool
	stdin      *Entry
	spooled    spooled
	began      time.Time
	digests    digests
	sources    sources
	spread     spreadings
	pages      pages
	keepsPages bool
}
