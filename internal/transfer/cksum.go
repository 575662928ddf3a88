package transfer

// cksum is the checksum of the tool of that name (POSIX.1-2017, cksum), for
// hosts that have nothing better.
type cksum struct {
	crc  uint32
	size uint64
}

var cksumTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&(1<<31) != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

func (c *cksum) add(p []byte) {
	for _, b := range p {
		c.crc = c.crc<<8 ^ cksumTable[byte(c.crc>>24)^b]
	}
	c.size += uint64(len(p))
}

// value is the sum of all that was added.
func (c *cksum) value() uint32 {
	crc := c.crc
	for n := c.size; n != 0; n >>= 8 {
		crc = crc<<8 ^ cksumTable[byte(crc>>24)^byte(n)]
	}
	return ^crc
}
