// Package scheduler looks up.
package scheduler

import _ "fleet/sshpool"
