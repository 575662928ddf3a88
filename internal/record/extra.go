package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"fleet/internal/event"
)

// kept are the fields of a struct that have no column of their own. What they
// hold, where it is not what is usual, goes into one column as JSON; so what
// later versions tell is kept without a change of the schema.
type kept struct {
	usual  reflect.Value
	fields []int
}

// besides gives the fields of usual, a struct, but for those that are named.
func besides(usual any, columns ...string) kept {
	k := kept{usual: reflect.ValueOf(usual)}
	t := k.usual.Type()
	for i := range t.NumField() {
		if !slices.Contains(columns, t.Field(i).Name) {
			k.fields = append(k.fields, i)
		}
	}
	return k
}

var (
	moreOfResults = besides(event.Result{Tries: 1},
		"Host", "Outcome", "Cause", "Detail", "ExitCode", "Signal", "StdoutBytes", "StderrBytes", "Truncated", "Unstored",
		"Lingering", "Attempts", "Connect", "Run", "Time", "Stdout", "Stderr", "Batch", "Kept")
	moreOfSummaries = besides(event.Summary{}, "Run", "Counts", "Wall", "Halted", "Deadline", "Interrupted", "Recorded", "RecordCut")
)

// text gives the fields of the struct that from points to: empty if all are as
// usual, else JSON.
func (k kept) text(from any) (string, error) {
	v := reflect.ValueOf(from).Elem()
	var more map[string]any
	for _, i := range k.fields {
		f := v.Field(i)
		if f.Comparable() && f.Equal(k.usual.Field(i)) || f.IsZero() && k.usual.Field(i).IsZero() {
			continue
		}
		if more == nil {
			more = map[string]any{}
		}
		more[v.Type().Field(i).Name] = f.Interface()
	}
	if more == nil {
		return "", nil
	}
	text, err := json.Marshal(more)
	return string(text), err
}

// into sets the fields of the struct that to points to: from what text gave, or
// else to what is usual. What this version does not know is left out.
func (k kept) into(to any, text string) error {
	var more map[string]json.RawMessage
	if text != "" {
		if err := json.Unmarshal([]byte(text), &more); err != nil {
			return fmt.Errorf("read what else is known: %w", err)
		}
	}
	v := reflect.ValueOf(to).Elem()
	for _, i := range k.fields {
		v.Field(i).Set(k.usual.Field(i))
		name := v.Type().Field(i).Name
		if value, ok := more[name]; ok {
			if err := json.Unmarshal(value, v.Field(i).Addr().Interface()); err != nil {
				return fmt.Errorf("read what else is known: %s: %w", name, err)
			}
		}
	}
	return nil
}
