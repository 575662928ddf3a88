//go:build !race

package hostkeys

const slowdown = 1
