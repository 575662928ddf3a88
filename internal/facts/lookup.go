package facts

import (
	"fmt"
	"time"

	"fleet/inventory"
)

// MaxAge is how old facts may be to decide in a pattern, unless the user says
// otherwise.
const MaxAge = 24 * time.Hour

// Lookup gives facts of a store to the patterns of an inventory; it implements
// inventory.Facts. It is for one goroutine at a time.
type Lookup struct {
	Store  *Store
	MaxAge time.Duration // 0: any age
	Now    time.Time
}

// Names implements inventory.Facts.
func (l *Lookup) Names() []string {
	list, _ := Names()
	return list
}

// Fact implements inventory.Facts.
func (l *Lookup) Fact(h *inventory.Host, name string) (any, error) {
	f, err := l.Store.Get(h)
	if err != nil {
		return nil, err
	}
	switch {
	case f == nil && l.MaxAge == 0:
		return nil, fmt.Errorf("no facts")
	case f == nil || l.MaxAge > 0 && l.Now.Sub(f.At) > l.MaxAge:
		return nil, fmt.Errorf("no facts younger than %s", Age(l.MaxAge))
	}
	v, _ := f.Value(name, l.Now)
	return v, nil
}

// Kind implements inventory.Facts.
func (*Lookup) Kind(name string) any { return kindOf(name) }

// Hint implements inventory.Facts.
func (l *Lookup) Hint(hosts string) string {
	return fmt.Sprintf("fleet hosts facts '%s' gathers them; --facts-age takes older ones", hosts)
}

// Age writes a duration as people say it: 3d, 5h, 40m.
func Age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d > 0 && d < time.Second:
		return d.String()
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
