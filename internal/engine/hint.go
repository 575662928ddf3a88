package engine

import (
	"errors"
	"fmt"

	"fleet/inventory"
	"fleet/sshpool/sshconfig"
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

// placedError is a mistake and where it was made.
type placedError struct {
	from string
	error
}

func (e *placedError) Error() string { return e.from + ": " + e.error.Error() }

func (e *placedError) Unwrap() error { return e.error }

// at says where a mistake was made, FILE:LINE or the flag's name, unless the
// error knows better.
func at(from string, err error) error {
	var placed *placedError
	var line *sshconfig.Error
	if err == nil || from == "" || from == "default" || errors.As(err, &placed) || errors.As(err, &line) {
		return err
	}
	return &placedError{from, err}
}

// place is where the inventory names a host.
func place(p inventory.Position) string {
	if p.File == "" {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}
