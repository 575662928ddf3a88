// Package loud shouts.
package loud

import "errors"

var err = errors.New("Failed to open.")
