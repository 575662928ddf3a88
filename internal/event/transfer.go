package event

import "time"

// Transfer is what a push or pull did on one host. With DryRun it is what would
// be done. A file is what is no folder: a link, too.
type Transfer struct {
	Pull    bool   // the files came from the host
	Sent    int    // files that were copied
	Updated int    // files that were there and got another mode, owner or time
	Skipped int    // files that were there, unchanged
	Deleted int    // files and folders that were removed, as they are not in the source
	Folders int    // folders that were made
	Refused int    // entries that were not taken; each is told in the output
	Bytes   int64  // of the content of files that were sent
	Way     string // how they went: tar, sftp, or with more words
	DryRun  bool
	// What the host could not do, though all is in its place.
	NotAtomic bool  // a name was free for a moment while files were exchanged
	NotSynced bool  // the content may not be on disk yet
	Resumed   int64 // bytes that an earlier, broken run had left there
	// Of a push with --spread: Seed says that large files came from this machine to
	// be spread; From is the host that they came from, else; Direct is why they came
	// from this machine though they were to come from another host.
	Seed   bool
	From   string
	Direct string
}

// Progress is how far the transfer of one host has come. A total is 0 as long as
// it is not known.
type Progress struct {
	Host         string
	Bytes, Total int64 // of content
	Files, Count int   // files done, of so many
	Time         time.Time
}

// ProgressSink is a Sink that wants to know how transfers go on. Progress is
// called from many goroutines, for one host in order, a few times a second at
// most, and before that host's Result.
type ProgressSink interface{ Progress(Progress) }
