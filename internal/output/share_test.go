package output

import "testing"

// TestShare keeps a capture until its last owner has discarded it.
func TestShare(t *testing.T) {
	s := NewStore(1<<20, t.TempDir())
	defer s.Close()
	c := s.Capture(-1)
	c.Write([]byte("kept"))
	c.Share()
	c.Discard()
	if b, ok := c.Bytes(); !ok || string(b) != "kept" || s.Memory() == 0 {
		t.Errorf("%q, %v, %d bytes held", b, ok, s.Memory())
	}
	c.Discard()
	if c.Len() != 0 || s.Memory() != 0 {
		t.Errorf("%d bytes, %d held", c.Len(), s.Memory())
	}
	(*Capture)(nil).Share()
}
