//go:build !linux

package main

// hush does nothing here: echo goes off just after the question is asked.
func hush(int) error { return nil }
