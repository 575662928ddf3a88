// Package scheduler has a clock.
package scheduler

import "time"

var now = time.Now
