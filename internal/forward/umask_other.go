//go:build !unix

package forward

// privateSockets does nothing where there is no umask.
func privateSockets() (undo func()) { return func() {} }
