package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"fleet/internal/event"
)

// columns are the fields of a result that have a column of their own, or are not
// kept. All others, that is what later versions add, go into one as JSON.
var columns = []string{
	"Host", "Outcome", "Cause", "Detail", "ExitCode", "Signal", "StdoutBytes", "StderrBytes", "Truncated", "Unstored",
	"Lingering", "Attempts", "Connect", "Run", "Time", "Stdout", "Stderr",
}

// others are the indexes of the fields that have no column.
var others = func() (list []int) {
	t := reflect.TypeFor[event.Result]()
	for i := range t.NumField() {
		if !slices.Contains(columns, t.Field(i).Name) {
			list = append(list, i)
		}
	}
	return list
}()

// extra gives what a result tells beside its columns: nil for nothing, else JSON.
func extra(res *event.Result) (any, error) {
	v := reflect.ValueOf(res).Elem()
	var more map[string]any
	for _, i := range others {
		if f := v.Field(i); !f.IsZero() {
			if more == nil {
				more = map[string]any{}
			}
			more[v.Type().Field(i).Name] = f.Interface()
		}
	}
	if more == nil {
		return nil, nil
	}
	text, err := json.Marshal(more)
	return string(text), err
}

// addExtra gives a result what extra took from one. What this version does not
// know is left out.
func addExtra(res *event.Result, text string) error {
	var more map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &more); err != nil {
		return fmt.Errorf("read a result: %w", err)
	}
	v := reflect.ValueOf(res).Elem()
	for _, i := range others {
		name := v.Type().Field(i).Name
		if value, ok := more[name]; ok {
			if err := json.Unmarshal(value, v.Field(i).Addr().Interface()); err != nil {
				return fmt.Errorf("read a result: %s: %w", name, err)
			}
		}
	}
	return nil
}
