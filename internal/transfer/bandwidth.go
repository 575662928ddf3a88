package transfer

import (
	"context"
	"io"

	"fleet/sshpool"
)

// Bandwidth bounds how fast files go, in bytes a second; 0 is no bound. Both may
// hold at once; hosts that share the first take turns.
type Bandwidth struct {
	All  *sshpool.Rate // shared by all hosts, or nil
	Host int64         // of each host
}

// rates are those of one host.
func (b Bandwidth) rates() (list []*sshpool.Rate) {
	if b.All != nil {
		list = append(list, b.All)
	}
	if b.Host > 0 {
		list = append(list, sshpool.NewRate(b.Host))
	}
	return list
}

// paced is a stream that goes as fast as rates allow.
type paced struct {
	ctx   context.Context
	rates []*sshpool.Rate
	r     io.Reader
	w     io.Writer
}

// pace has what a script reads and writes keep to the rates.
func pace(ctx context.Context, rates []*sshpool.Rate, r io.Reader, w io.Writer) (io.Reader, io.Writer) {
	if len(rates) == 0 {
		return r, w
	}
	p := &paced{ctx, rates, r, w}
	if r == nil { // a script without input
		return nil, p
	}
	return p, p
}

func (p *paced) wait(n int) error {
	for _, r := range p.rates {
		if err := r.Wait(p.ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if waited := p.wait(n); waited != nil {
		err = waited
	}
	return n, err
}

func (p *paced) Write(b []byte) (int, error) {
	if err := p.wait(len(b)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}
