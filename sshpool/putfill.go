package sshpool

import (
	"context"
	"fmt"
	"os"
	"path"
)

// filled is run where somebody else brings the content to the host.
func (p *putting) filled(ctx context.Context) error {
	if p.o.Verify == VerifyOff { // what came is not known to be right
		p.o.Verify = VerifyHash
	}
	if err := p.look(ctx); err != nil {
		return p.cause(ctx, err)
	}
	p.src.hash() // meanwhile
	p.temp = path.Join(p.folder(), uniquePart(path.Base(p.name), p.src.id))
	err := p.o.Fill(ctx, p.temp)
	if err == nil {
		err = p.openFilled(ctx)
	}
	return p.finish(ctx, err)
}

// openFilled opens what was brought.
func (p *putting) openFilled(ctx context.Context) error {
	fi, err := p.s.Lstat(ctx, p.temp)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || fi.Mode().Perm() != 0o600 {
		return p.mismatch(fmt.Sprintf("a file of mode %v arrived", fi.Mode()))
	}
	p.file, err = p.s.OpenFile(ctx, p.temp, os.O_RDWR, 0)
	return err
}
