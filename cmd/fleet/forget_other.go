//go:build !linux && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package main

// forget does nothing here: what was typed ahead answers the question.
func forget(int) error { return nil }
