package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"fleet/inventory"
	"fleet/sshpool"
	"fleet/sshpool/hostkeys"
)

// Targets says for each host how it is reached. Logins and host key policies
// are shared between hosts that have the same ones, so that a key is opened, and
// a known_hosts file read, once. It may be used from many goroutines at once.
type Targets struct {
	byName   map[string]sshpool.Target
	sessions map[string]Session
	policies []*hostkeys.Policy
	auths    []*sshpool.Auth
}

// Unwritten are the host keys that were accepted but could not be kept.
func (t *Targets) Unwritten() (problems []error) {
	for _, p := range t.policies {
		if err := p.Unwritten(); err != nil {
			problems = append(problems, err)
		}
	}
	return problems
}

// Close ends the connections to agents.
func (t *Targets) Close() error {
	var errs []error
	for _, a := range t.auths {
		errs = append(errs, a.Close())
	}
	return errors.Join(errs...)
}

// Target is how the host of that name is reached.
func (t *Targets) Target(host string) (sshpool.Target, error) {
	target, ok := t.byName[host]
	if !ok {
		return sshpool.Target{}, errors.New("host is not part of this run")
	}
	return target, nil
}

// Session is what is asked of a session on the host of that name.
func (t *Targets) Session(host string) (Session, error) {
	s, ok := t.sessions[host]
	if !ok {
		return Session{}, errors.New("host is not part of this run")
	}
	return s, nil
}

// Reach says how to reach hosts: it reads the files that are named for them and
// opens their keys, asking for passphrases where needed. Nothing is sent. The
// caller closes what it gets. An error is about the settings, not about a host
// that does not answer; where it has a method Hint, that names a way out.
func (a Access) Reach(ctx context.Context, hosts []*inventory.Host) (*Targets, error) {
	if a.Stopped == nil {
		return a.reach(ctx, hosts)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopped := a.Stopped() // now: the goroutine may look only after Reach is over
	go func() {
		select {
		case <-stopped:
			cancel(ErrInterrupted)
		case <-ctx.Done():
		}
	}()
	t, err := a.reach(ctx, hosts)
	if context.Cause(ctx) != ErrInterrupted {
		return t, err
	}
	if t != nil {
		t.Close() //nolint:errcheck // nothing was sent to the agents' connections
	}
	return nil, ErrInterrupted
}

// ErrInterrupted is the end of Reach by Access.Stopped.
var ErrInterrupted = errors.New("interrupted")

func (a Access) reach(ctx context.Context, hosts []*inventory.Host) (*Targets, error) {
	r, err := newResolver(ctx, a)
	if err != nil {
		return nil, err
	}
	all := &Targets{byName: make(map[string]sshpool.Target, len(hosts)), sessions: make(map[string]Session, len(hosts))}
	for _, h := range hosts {
		if all.byName[h.Name], all.sessions[h.Name], err = r.resolve(h); err != nil {
			return nil, fmt.Errorf("host %s: %w", h.Name, err)
		}
	}
	all.auths, all.policies = r.auths.all, r.policies.all
	r.tellWarnings()
	for _, a := range all.auths {
		if err := a.Prepare(ctx); err != nil {
			return nil, errors.Join(keyHint(err), all.Close())
		}
	}
	return all, nil
}

// shared keeps things that many hosts have alike, by what tells them apart.
type shared[T any] struct {
	byID map[string]T
	all  []T                 // as they came up
	said map[string][]string // what r.later was given when they were made
}

// get gives the thing of that id, made now if it is new. What is wrong with it
// is wrong for each host that has it.
func (s *shared[T]) get(r *resolver, id string, make func() (T, error)) (T, error) {
	if have, ok := s.byID[id]; ok {
		for _, text := range s.said[id] {
			r.later(text)
		}
		return have, nil
	}
	before := len(r.said)
	made, err := make()
	if err != nil {
		return made, err
	}
	s.byID[id] = made
	s.all = append(s.all, made)
	if len(r.said) > before {
		s.said[id] = slices.Clone(r.said[before:])
	}
	return made, nil
}

func newShared[T any]() shared[T] {
	return shared[T]{byID: make(map[string]T), said: make(map[string][]string)}
}
