package transfer

import (
	"os"
	"os/user"
	"strconv"
)

// localOwners remembers the numbers that users and groups have on this machine. A
// name that is not known here is not taken for the one of its number.
type localOwners struct{ users, groups map[string]int }

// of is whom an entry belongs to here; root where there is no such name.
func (o *localOwners) of(e *Entry) (uid, gid int) {
	return o.number(&o.users, e.Owner, func(name string) (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		}), o.number(&o.groups, e.Group, func(name string) (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
}

func (o *localOwners) number(known *map[string]int, name string, find func(string) (string, error)) int {
	n, ok := (*known)[name]
	if ok {
		return n
	}
	if *known == nil {
		*known = make(map[string]int)
	}
	if text, err := find(name); err == nil && name != "" {
		n, _ = strconv.Atoi(text)
	}
	(*known)[name] = n
	return n
}

// own gives what lies in a folder to whom it belongs on the host.
func (s *store) own(in *os.Root, name string, e *Entry) error {
	if s.owners == nil {
		return nil
	}
	uid, gid := s.owners.of(e)
	return in.Lchown(name, uid, gid)
}

// ownerNames remembers the names of users and groups of this machine.
type ownerNames struct{ users, groups map[uint32]string }

func (o *ownerNames) user(id uint32) string {
	return remembered(&o.users, id, func(id string) string {
		u, err := user.LookupId(id)
		if err != nil {
			return ""
		}
		return u.Username
	})
}

func (o *ownerNames) group(id uint32) string {
	return remembered(&o.groups, id, func(id string) string {
		g, err := user.LookupGroupId(id)
		if err != nil {
			return ""
		}
		return g.Name
	})
}

func remembered(known *map[uint32]string, id uint32, find func(string) string) string {
	name, ok := (*known)[id]
	if !ok {
		if *known == nil {
			*known = make(map[uint32]string)
		}
		name = find(strconv.FormatUint(uint64(id), 10))
		(*known)[id] = name
	}
	return name
}
