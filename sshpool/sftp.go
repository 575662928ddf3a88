package sshpool

import "github.com/pkg/sftp"

// SFTP is a client of a host's SFTP server, on a session of its own
// (draft-ietf-secsh-filexfer-02, version 3, with OpenSSH's extensions). Names
// are the host's, with slashes; one that does not begin with a slash begins at
// the folder that the session starts in, the user's home. Every call returns
// when its ctx ends, whatever the server does; the server may still do what was
// asked. All methods may be called at once from many goroutines, and then share
// the round trips.
//
// Errors are of type *Error in StageTransfer: Op is the call, Text the name and
// the cause. errors.Is finds fs.ErrNotExist, fs.ErrExist, fs.ErrPermission and
// errors.ErrUnsupported in them where they apply. KindRemote is what the server
// called no more than a failure; as for Run where the connection or the session
// is the trouble.
type SFTP struct {
	conn  *Conn
	link  *sftpLink
	paths *sftp.Client // for all that needs no open file
	way   Way
}

// Way says how files get to a host and from it.
type Way string

// The ways, the best first.
const (
	WaySubsystem Way = "sftp"        // the host's sftp subsystem
	WayServer    Way = "sftp-server" // the program of an SFTP server, run as a command
	WayStream    Way = "stream"      // cat, run by the user's shell
)

const opSFTP = "sftp"

// Way tells how the client reached its server: WaySubsystem or WayServer.
func (s *SFTP) Way() Way { return s.way }

// Conn is the connection that the client is on.
func (s *SFTP) Conn() *Conn { return s.conn }

// Offers tells whether the server has an extension, such as
// "posix-rename@openssh.com", and what it said about it.
func (s *SFTP) Offers(extension string) (data string, ok bool) {
	return s.paths.HasExtension(extension)
}

// Close ends the client. Calls under way end with ErrClosed. It does not wait
// for the host.
func (s *SFTP) Close() error {
	s.link.end(ErrClosed)
	return nil
}

// Done is closed when the client is over: by Close, by the server, or with the
// connection.
func (s *SFTP) Done() <-chan struct{} { return s.link.over }
