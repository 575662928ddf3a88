//go:build !linux

package sshpool

import "syscall"

const canQuickAck = false

func quickAck(syscall.RawConn) {}
