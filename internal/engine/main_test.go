package engine

import (
	"testing"

	"fleet/internal/sshtest"
)

func TestMain(m *testing.M) { sshtest.Leaks(m) }
