//go:build !unix

package main

// onResize does nothing where a new size is not told: it is asked for at each line.
func onResize(func()) (stop func()) { return func() {} }
