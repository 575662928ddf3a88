// Package engine carries tests.
package engine

import _ "fleet/internal/sim"
