package inventory

import (
	"fmt"
	"log/slog"
	"reflect"
)

// Secret is a value that is not to be seen: however it is written, printed,
// logged or put into JSON, [Hidden] stands for it. Only Reveal gives it away.
// The zero value is no secret at all. A Secret is immutable.
type Secret struct{ value *any }

// Hidden is what is shown of a Secret.
const Hidden = "(secret)"

// NewSecret hides a value, of the types that Host.Vars names.
func NewSecret(value any) Secret { return Secret{&value} }

// IsSet says whether there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// Reveal gives the value, nil where there is none.
func (s Secret) Reveal() any {
	if s.value == nil {
		return nil
	}
	return *s.value
}

// Text reveals the value as text: a password that is all digits is a number in
// many a file.
func (s Secret) Text() string {
	switch v := s.Reveal().(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// Equal compares the values.
func (s Secret) Equal(o Secret) bool {
	return s.value == o.value || s.IsSet() && o.IsSet() && reflect.DeepEqual(*s.value, *o.value)
}

func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return Hidden
}

// Format writes Hidden whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText gives Hidden, to JSON among others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML gives Hidden.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue gives Hidden.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal gives a copy of a variable's value with all secrets in it revealed.
func Reveal(value any) any {
	switch v := value.(type) {
	case Secret:
		return Reveal(v.Reveal())
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Reveal(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = Reveal(item)
		}
		return out
	}
	return value
}

// Hide gives a copy of a variable's value with every text and number in it a
// Secret.
func Hide(value any) any {
	switch v := value.(type) {
	case nil, bool, Secret:
		return v
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = Hide(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = Hide(item)
		}
		return out
	}
	return NewSecret(value)
}
