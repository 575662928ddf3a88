package source_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"fleet/inventory"
	"fleet/inventory/source"
)

// An inventory written for Ansible is recognised by what it holds.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "inventory")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "production")
	text := "[web]\nweb[01:03].example.com ansible_port=2222\n[db]\ndb1\n[prod:children]\nweb\ndb\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		log.Fatal(err)
	}
	r, err := source.Load(context.Background(), source.Options{}, path)
	if err != nil {
		log.Fatal(err)
	}
	hosts, err := r.Inventory.Select("prod:!db")
	if err != nil {
		log.Fatal(err)
	}
	var names []string
	for _, h := range hosts {
		names = append(names, h.Name)
	}
	fmt.Println(inventory.Fold(names), hosts[0].Port)
	// Output: web[01-03].example.com 2222
}
