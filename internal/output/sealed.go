package output

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// sealed is a spill whose content is enciphered by a key that only this process
// has, and that it never keeps: what hosts write may hold secrets, and a disk
// remembers also what has no name. AES-CTR, with the place in the file as counter,
// so that any part can be read and written by itself. It hides; it does not
// prove that nobody changed the file, and who has copies of what stood in one place
// at two times learns how they differ.
type sealed struct {
	file
	block cipher.Block
	iv    [aes.BlockSize / 2]byte // the first half of the counter
}

// sealBuffers hold what is enciphered, as the caller's bytes are not to be changed.
var sealBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// seal gives f a key of its own.
func seal(f file) (file, error) {
	var key [32]byte
	s := &sealed{file: f}
	rand.Read(key[:])
	rand.Read(s.iv[:])
	var err error
	s.block, err = aes.NewCipher(key[:])
	return s, err
}

// stream is the key stream from a place in the file on.
func (s *sealed) stream(off int64) cipher.Stream {
	var counter [aes.BlockSize]byte
	copy(counter[:], s.iv[:])
	binary.BigEndian.PutUint64(counter[len(s.iv):], uint64(off/aes.BlockSize))
	ctr := cipher.NewCTR(s.block, counter[:])
	var skip [aes.BlockSize]byte
	ctr.XORKeyStream(skip[:off%aes.BlockSize], skip[:off%aes.BlockSize])
	return ctr
}

// WriteAt implements io.WriterAt.
func (s *sealed) WriteAt(p []byte, off int64) (n int, err error) {
	buffer := sealBuffers.Get().(*[64 << 10]byte)
	defer sealBuffers.Put(buffer)
	ctr := s.stream(off)
	for n < len(p) {
		k := min(len(p)-n, len(buffer))
		ctr.XORKeyStream(buffer[:k], p[n:n+k])
		w, err := s.file.WriteAt(buffer[:k], off+int64(n))
		n += w
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// ReadAt implements io.ReaderAt.
func (s *sealed) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.file.ReadAt(p, off)
	s.stream(off).XORKeyStream(p[:n], p[:n])
	return n, err
}
