//go:build !linux

package main

import (
	"errors"
	"os"
	"time"
)

// Memory and the CPU time of running processes are read on Linux only.

func peakRSS(*os.ProcessState) int64 { return 0 }

func ownPeak() int64 { return 0 }

func cpuOf(int) (time.Duration, error) { return 0, errors.ErrUnsupported }
