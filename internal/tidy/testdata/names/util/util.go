// Package util is for anything.
package util
