package engine

import (
	"fmt"

	"fleet/inventory"
)

// hintedError is a mistake in the settings to which there is a way out.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

// Hint is the way out.
func (e *hintedError) Hint() string { return e.hint }

func hinted(err error, hint string) error { return &hintedError{err, hint} }

// at says where a mistake was made: FILE:LINE, or the flag's name.
func at(from string, err error) error {
	if from == "" || from == "default" {
		return err
	}
	return fmt.Errorf("%s: %w", from, err)
}

// place is where the inventory names a host.
func place(p inventory.Position) string {
	if p.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}
