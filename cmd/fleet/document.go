package main

import (
	"encoding/json"
	"io"
)

// writeDocument writes what --output json shows: one document, indented, in
// which '<', '>' and '&' stand as they are.
func writeDocument(w io.Writer, doc any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}
