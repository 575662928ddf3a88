package transfer

import (
	"os/user"
	"strconv"
)

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
