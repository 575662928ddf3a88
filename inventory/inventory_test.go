package inventory

import "testing"

func TestSampleInventory(t *testing.T) {
	inv, err := Load("../hosts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ pattern, want string }{
		{"all", "bastion,db[1-2],rack[1-2]-node[1-2],web[01-20]"},
		{"@prod!db2", "db1,web[01-20]"},
		{"~^web0&web[02-05]", ""},
		{"~/^web0/&web[02-12]", "web[02-09]"},
	} {
		hosts, err := inv.Select(test.pattern)
		names := make([]string, len(hosts))
		for i, h := range hosts {
			names[i] = h.Name
		}
		if got := Fold(names); got != test.want {
			t.Errorf("%s: got %s (%v), want %s", test.pattern, got, err, test.want)
		}
	}
}
