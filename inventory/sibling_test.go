package inventory

import "testing"

func TestSibling(t *testing.T) {
	inv, err := Parse("hosts.yaml", []byte("hosts: {web1: {jump: gate}, gate: }\n"))
	if err != nil {
		t.Fatal(err)
	}
	web, _ := inv.Host("web1")
	gate, ok := web.Sibling("gate")
	if want, _ := inv.Host("gate"); !ok || gate != want {
		t.Errorf("%v, %v", gate, ok)
	}
	if h, ok := web.Sibling("nosuch"); ok {
		t.Errorf("found %v", h)
	}
	if h, ok := (&Host{Name: "web1"}).Sibling("web1"); ok {
		t.Errorf("a host of no inventory found %v", h)
	}
}
