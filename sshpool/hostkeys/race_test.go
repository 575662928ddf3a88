//go:build race

package hostkeys

// slowdown stretches the limits on time under the race detector.
const slowdown = 20
