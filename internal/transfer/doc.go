// Package transfer copies files between this machine and hosts, one host's
// connection at a time.
//
//	entry.go     what a tree of files is made of
//	filter.go    which of them are meant: --exclude, --include, .fleetignore
//	scan.go      trees of this machine; source.go, which of them go to which host
//	shell.go     how scripts are run on a host; look.go, what is there already
//	plan.go      from the two to what is to be done
//	push.go      doing it: pack.go writes the stream, apply.go says where all goes
//	alone.go     a large file that is all there is to send; large.go, those of a tree
//	             and those that are pulled: they go on where an earlier run stopped
//	spread.go    large files from host to host: spreadplan.go decides who serves whom, spreadcopy.go
//	             is one copy, spreadland.go its place on the host that is served, spreadscript.go what hosts run
//	pull.go      the other way; pull_here.go finds what is here already, want.go decides what is taken from a host, names.go
//	             what it is called here, store.go writes it
//	sftp.go      all that again without a shell: sftplook.go, sftpstage.go, sftpput.go,
//	             sftpfetch.go
//	diff.go      what would change, as text
//	failure.go   what went wrong, from what the host's tools say
//
// A host needs a POSIX shell, find, and tar; or SFTP. A tree goes to it as one tar stream
// into a folder of its own beside the destination, readable by its user alone;
// there each file is compared with its SHA-256, and then all are moved to their
// places by rename, so that each is the old file or the new one at any time.
//
// A host is not trusted with this machine: what it sends is checked against what
// it was asked for, and written below the destination only, through [os.Root].
package transfer
