package sshpool

import (
	"context"
	"log/slog"
	"time"
)

// What a Target's Log is told. No secret and no text of the peer's goes there
// but what an Error holds, which is quoted.

// logAttempt tells how the n-th attempt at a connection ended.
func (t *Target) logAttempt(ctx context.Context, n int, c *Conn, err error) {
	if t.Log == nil {
		return
	}
	who := []slog.Attr{slog.String("addr", t.addr()), slog.String("user", t.User), slog.Int("attempt", n)}
	if err != nil {
		t.Log.LogAttrs(ctx, slog.LevelDebug, "connection attempt ended", append(who, slog.String("cause", err.Error()))...)
		return
	}
	algos := c.Algorithms()
	t.Log.LogAttrs(ctx, slog.LevelDebug, "connected", append(who,
		slog.Duration("took", c.Took()),
		slog.String("server", excerpt([]byte(c.ServerVersion()))),
		slog.String("kex", algos.KeyExchange),
		slog.String("hostkey", algos.HostKey),
		slog.String("cipher", algos.Read.Cipher))...)
}

// logWait tells that a repeat waits.
func (t *Target) logWait(ctx context.Context, wait time.Duration) {
	if t.Log != nil {
		t.Log.LogAttrs(ctx, slog.LevelDebug, "trying again", slog.String("addr", t.addr()), slog.Duration("after", wait))
	}
}
