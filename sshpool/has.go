package sshpool

// Has says that the pool has a connection to t that lives, as far as is known:
// a peer that went silently is found by keepalive only.
func (p *Pool) Has(t Target) bool {
	if !t.comparable() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.entries[t.poolKey()]
	return e != nil && e.conn != nil && e.conn.usable()
}
