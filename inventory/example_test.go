package inventory_test

import (
	"fmt"
	"os"
	"path/filepath"

	"fleet/inventory"
)

const file = `
defaults: {user: deploy}
hosts:
  web[01-20]: {address: "10.0.0.[1-20]"}
  web20: {port: 2222}
  db1: {address: 10.0.1.1, key: ~/.ssh/ops, vars: {role: primary}}
  bastion:
groups:
  web:  {hosts: ["web[01-20]"], user: www, vars: {tier: front}}
  db:   {hosts: [db1], become: true}
  prod: {children: [web, db], jump: [bastion]}
`

func Example() {
	inv, err := inventory.Parse("hosts.yaml", []byte(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	hosts, err := inv.Select("prod!web[01-18]")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range hosts {
		fmt.Println(h.Name, h.User, h.Address, h.Port, h.Jump, h.Groups, h.Vars)
	}
	// Output:
	// web19 www 10.0.0.19 0 [bastion] [prod web] map[tier:front]
	// web20 www 10.0.0.20 2222 [bastion] [prod web] map[tier:front]
	// db1 deploy 10.0.1.1 0 [bastion] [prod db] map[role:primary]
}

func ExampleLoad() {
	dir, err := os.MkdirTemp("", "inventory")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "hosts.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	inv, err := inventory.Load(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(inv.Hosts()), "hosts")
	for _, g := range inv.Groups() {
		fmt.Println(g.Name, len(g.AllHosts()))
	}
	// Output:
	// 22 hosts
	// web 20
	// db 1
	// prod 21
}

func ExampleParse_errors() {
	_, err := inventory.Parse("hosts.yaml", []byte("hosts:\n  web[20-01]: {prot: 22}\n"))
	fmt.Println(err)
	// Output:
	// hosts.yaml:2:7: range "20-01" is reversed (write 01-20)
	// hosts.yaml:2:16: unknown field "prot" (did you mean "port"?)
}

func ExampleInventory_Select_error() {
	inv, err := inventory.Parse("hosts.yaml", []byte(file))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = inv.Select("db1,wbe")
	fmt.Println(err)
	// Output:
	// "db1,wbe": column 5: no host or group "wbe" (did you mean "web"?)
}

func ExampleFold() {
	fmt.Println(inventory.Fold([]string{"web02", "db1", "web01", "web03", "web20", "rack1n1", "rack1n2", "rack2n1", "rack2n2"}))
	// Output: db1,rack[1-2]n[1-2],web[01-03,20]
}

func ExampleExpandSet() {
	names, err := inventory.ExpandSet("web[08-10],rack[1-2]n[1-3/2]")
	fmt.Println(names, err)
	// Output: [web08 web09 web10 rack1n1 rack1n3 rack2n1 rack2n3] <nil>
}

func ExampleSet_All() {
	set, err := inventory.ParseSet("node[0000001-1000000]")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(set.Len(), "names")
	for name := range set.All() {
		fmt.Println("the first is", name)
		break
	}
	// Output:
	// 1000000 names
	// the first is node0000001
}
