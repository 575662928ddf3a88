// Command move puts a file on hosts through fleet/sshpool, or gets it from one,
// and ends. Where there are several hosts each gets a copy of its own name, DST
// and its number, which -remove takes away again when it is complete.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// options are the flags.
type options struct {
	user, key, knownHosts, addresses string
	n, fanout, repeat                int
	get, verify, remove              bool
	src, dst                         string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "move:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var o options
	fs := flag.NewFlagSet("move", flag.ContinueOnError)
	fs.StringVar(&o.user, "user", "ops", "login name")
	fs.StringVar(&o.key, "key", "", "private key")
	fs.StringVar(&o.knownHosts, "known-hosts", "", "known_hosts file")
	fs.StringVar(&o.addresses, "addresses", "", "file with an address:port a line")
	fs.IntVar(&o.n, "n", 1, "how many of them")
	fs.IntVar(&o.fanout, "fanout", 100, "how many of them at once")
	fs.IntVar(&o.repeat, "repeat", 1, "how often, one after the other")
	fs.BoolVar(&o.get, "get", false, "get SRC of the first host")
	fs.BoolVar(&o.verify, "verify", false, "compare hashes")
	fs.BoolVar(&o.remove, "remove", false, "remove what was put")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 2 {
		return errors.New("want SRC and DST")
	}
	o.src, o.dst = fs.Arg(0), fs.Arg(1)
	text, err := os.ReadFile(o.addresses)
	if err != nil {
		return err
	}
	index, err := hostkeys.Load(o.knownHosts)
	if err != nil {
		return err
	}
	auth := &sshpool.Auth{Keys: []string{o.key}}
	defer auth.Close()
	t := sshpool.Target{User: o.user, Auth: auth, HostKeys: &hostkeys.Policy{Index: index}}
	hosts := strings.Fields(string(text))
	if o.n > len(hosts) {
		return fmt.Errorf("%d hosts, there are %d", o.n, len(hosts))
	}
	return o.all(t, hosts[:o.n])
}

// all moves the file for all hosts.
func (o *options) all(t sshpool.Target, hosts []string) error {
	var src *sshpool.Source
	if !o.get {
		var err error
		if src, err = sshpool.OpenSource(o.src); err != nil {
			return err
		}
		defer src.Close()
	}
	errs := make([]error, len(hosts))
	var running sync.WaitGroup
	places := make(chan struct{}, max(o.fanout, 1))
	for i, addr := range hosts {
		places <- struct{}{}
		running.Go(func() {
			errs[i] = o.one(t, addr, src, i)
			<-places
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

func (o *options) one(t sshpool.Target, addr string, src *sshpool.Source, number int) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	t.Address = host
	if t.Port, err = strconv.Atoi(port); err != nil {
		return err
	}
	ctx := context.Background()
	conn, err := sshpool.Dial(ctx, t)
	if err != nil {
		return err
	}
	defer conn.Close()
	files, err := conn.Files(ctx)
	if err != nil {
		return err
	}
	defer files.Close()
	for range o.repeat {
		if err := o.once(ctx, files, src, number); err != nil {
			return err
		}
	}
	return nil
}

func (o *options) once(ctx context.Context, files *sshpool.Files, src *sshpool.Source, number int) error {
	verify := sshpool.VerifyOff
	if o.verify {
		verify = sshpool.VerifyHash
	}
	if o.get {
		dir, err := os.OpenRoot(filepath.Dir(o.dst))
		if err != nil {
			return err
		}
		defer dir.Close()
		_, err = files.Get(ctx, o.src, dir, filepath.Base(o.dst), sshpool.GetOptions{Verify: verify})
		return err
	}
	name := o.dst + "." + strconv.Itoa(number)
	if _, err := files.Put(ctx, src, name, sshpool.PutOptions{Verify: verify}); err != nil {
		return err
	}
	if o.remove {
		return files.SFTP().Remove(ctx, name)
	}
	return nil
}
