package main

import (
	"fleet/internal/redact"
	"fleet/inventory"
)

// secrets is what this process was told in confidence: answers to questions
// without echo, what secret files hold, and what inventories keep as secrets.
// Nothing of it gets into a record.
var secrets redact.Set

// addSecrets adds what the inventory keeps as secrets of hosts.
func addSecrets(hosts []*inventory.Host) {
	for _, h := range hosts {
		addSecret(h.Password)
		addSecret(h.BecomePassword)
		addSecret(h.Vars)
	}
}

// addSecret adds the secrets in a value of an inventory.
func addSecret(value any) {
	switch v := value.(type) {
	case inventory.Secret:
		if v.IsSet() {
			secrets.Add([]byte(v.Text()))
		}
	case map[string]any:
		for _, member := range v {
			addSecret(member)
		}
	case []any:
		for _, member := range v {
			addSecret(member)
		}
	}
}
