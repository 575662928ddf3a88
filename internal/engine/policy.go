package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
	"fleet/sshpool/sshconfig"
)

// policy is what checks the host key of h: the keys that the inventory pins,
// or known_hosts files.
func (r *resolver) policy(h *inventory.Host, found *sshconfig.Resolved) (sshpool.HostKeyChecker, error) {
	revoked, err := r.revokedKeys(found)
	if err != nil {
		return nil, err
	}
	mode, err := r.hostKeyMode(found)
	if err != nil {
		return nil, err
	}
	if len(h.HostKey) > 0 && mode != hostkeys.InsecureOff {
		pins, err := hostkeys.ParsePins(h.HostKey)
		if err != nil { // not a nil *Pins
			return nil, err
		}
		pins.Revoked, pins.MinRSA = revoked, found.RequiredRSASize.V
		return pins, nil
	}
	files, own := r.knownHosts(h, found)
	names := strings.Join(files, "\x00")
	hash := found.HashKnownHosts.V
	return r.policies.get(r, fmt.Sprint(int(mode), hash, own, "\x00", found.RevokedHostKeys.V, "\x00", found.RequiredRSASize.V, found.CASignatureAlgorithms.V, "\x00", names), func() (*hostkeys.Policy, error) {
		signed, err := r.authorityAlgorithms(found)
		if err != nil {
			return nil, err
		}
		index, err := r.indexes.get(r, names, func() (*hostkeys.Index, error) {
			if mode == hostkeys.Strict && len(r.KnownHosts)+len(h.KnownHosts) > 0 {
				r.missing(files)
			}
			return r.loadIndex(files)
		})
		if err != nil {
			return nil, err
		}
		return &hostkeys.Policy{Mode: mode, Index: index, File: own, Hash: hash,
			Revoked: revoked, MinRSA: found.RequiredRSASize.V, CAAlgorithms: signed}, nil
	})
}

// authorityAlgorithms are what CASignatureAlgorithms leaves to those who sign host
// certificates; nil where it says nothing.
func (r *resolver) authorityAlgorithms(found *sshconfig.Resolved) ([]string, error) {
	v := found.CASignatureAlgorithms
	if v.V == "" {
		return nil, nil
	}
	known := slices.Concat(hostkeys.DefaultAlgorithms(), skAlgorithms[:2])
	list, err := v.V.Apply(known, known)
	if err != nil {
		return nil, hinted(at(v.From.String(), fmt.Errorf("CASignatureAlgorithms: %w", err)), "known here: "+strings.Join(known, ","))
	}
	if names := v.V.Unsupported(known); len(names) > 0 {
		r.later(fmt.Sprintf("%s: CASignatureAlgorithms: not known here and left out: %s", v.From, strings.Join(names, ",")))
	}
	return list, nil
}

// revokedKeys are those of the file that RevokedHostKeys names, nil for none. Where
// it cannot be read no host may be reached, as with ssh.
func (r *resolver) revokedKeys(found *sshconfig.Resolved) (*hostkeys.RevokedKeys, error) {
	v := found.RevokedHostKeys
	if v.V == "" {
		return nil, nil
	}
	return r.revoked.get(r, v.V, func() (*hostkeys.RevokedKeys, error) {
		revoked, err := hostkeys.LoadRevoked(v.V)
		if err != nil {
			return nil, hinted(at(v.From.String(), fmt.Errorf("RevokedHostKeys: %w", err)), "it takes public keys, one a line, or what ssh-keygen -k writes")
		}
		return revoked, nil
	})
}

// missing warns of known_hosts files that were named and are not there: most
// likely a slip of the pen, where no new key is to go to them.
func (r *resolver) missing(files []string) {
	for _, file := range files {
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			r.later("known_hosts file " + file + " does not exist")
		}
	}
}

func (r *resolver) loadIndex(files []string) (*hostkeys.Index, error) {
	index, err := hostkeys.Load(files...)
	if err != nil {
		return nil, err
	}
	if err := index.Problems(); err != nil {
		r.later(err.Error())
	}
	return index, nil
}

// knownHosts are the known_hosts files of h, and the one that new keys go to,
// which is empty where they are not to be kept.
func (r *resolver) knownHosts(h *inventory.Host, found *sshconfig.Resolved) (files []string, own string) {
	named := r.KnownHosts
	if len(named) == 0 {
		named = h.KnownHosts
	}
	if len(named) > 0 {
		for _, file := range named {
			files = append(files, r.expand(file))
		}
		return files, files[0]
	}
	for _, v := range slices.Concat(found.UserKnownHosts, found.GlobalKnownHosts) {
		files = append(files, v.V)
	}
	if len(found.UserKnownHosts) > 0 {
		own = files[0]
	}
	return files, own
}

// hostKeyMode is the flag's, else that of ssh_config, which cannot turn the
// check off: that needs a flag that says what it is.
func (r *resolver) hostKeyMode(found *sshconfig.Resolved) (hostkeys.Mode, error) {
	for _, m := range []hostkeys.Mode{hostkeys.Strict, hostkeys.AcceptNew, hostkeys.InsecureOff} {
		if r.HostKeys == m.String() {
			return m, nil
		}
	}
	if r.HostKeys != "" {
		return 0, fmt.Errorf("unknown host key mode %q", r.HostKeys)
	}
	switch v := found.StrictHostKeyChecking; v.V {
	case "accept-new":
		return hostkeys.AcceptNew, nil
	case "no":
		r.later(v.From.String() + ": StrictHostKeyChecking no is not followed: host keys are checked strictly; --hostkeys accept-new or insecure-off says otherwise")
	}
	return hostkeys.Strict, nil
}
