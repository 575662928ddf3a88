// Package scheduler will be documented here.
package scheduler
