package sshpool

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path"
	"time"
)

func (f *Files) get(ctx context.Context, remote string, dir *os.Root, name string, o GetOptions) (Transfer, error) {
	began := time.Now()
	res := Transfer{Way: f.Way()}
	err := f.fetch(ctx, &res, remote, dir, name, o)
	res.Took = time.Since(began)
	return res, transferError("get", remote, err)
}

func (f *Files) fetch(ctx context.Context, res *Transfer, remote string, dir *os.Root, name string, o GetOptions) error {
	from, err := f.sftp.Open(ctx, remote)
	if err != nil {
		return err
	}
	defer from.Close()
	fi, err := from.Stat()
	if err != nil {
		return err
	}
	mode := fi.Mode().Perm()
	if o.Mode != nil {
		mode = *o.Mode
	}
	var tag [6]byte
	rand.Read(tag[:])
	temp := path.Join(path.Dir(name), ".fleet-"+hex.EncodeToString(tag[:])+".part")
	to, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer dir.Remove(temp)
	defer to.Close()
	if res.Sent, err = from.WriteTo(to); err != nil {
		return err
	}
	res.Size = res.Sent
	if err := to.Chmod(mode); err != nil {
		return err
	}
	return dir.Rename(temp, name)
}
