package source

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const patternInventory = `[web]
web[01:12]
[db]
db1
db2
db3
[mail]
web03
mx
[staging:children]
web
mail
[prod:children]
db
mail
[lone]
2001:db8::1
`

// TestOraclePatterns selects by patterns in Ansible's form what Ansible does: a
// table of them, and many made by chance.
func TestOraclePatterns(t *testing.T) {
	dir := write(t, "inv", patternInventory)
	patterns := []string{
		"web:db", "web,db", "web:&mail", "web:!web01", "web*:&staging:!web01", "!web", "all:!web:!db", "prod:&mail:web", "web,!web01,db", "web,&mail", "&web:&mail",
		"web[-1]", "mail[0]", "mail[1]", "web[0:2]", "web[10:]", "web[5:100]", "web[3:1]", "db[1:2]:web[0:0]", "web[0:4]:!web[1:1]", "web*[0:2]", "~^web0[1-3]$",
		"~^web0[1-3]$:&mail", "~^(web|db).*1$:!web01", "2001:db8::1", "2001:db8::1,db", "db1:db2:db3", "staging:!mail", "web:db:!web*", "mx", "*", "*:!mx", "web?1", "web:&db", "lone",
		"db1, db2 , !db2", "db:!db[0:0]", "!web[0:1]:web", "&web,mail", "!web01:web01", "web01:web02:&web",
	}
	r := rand.New(rand.NewPCG(7, 7))
	words := []string{"web", "db", "mail", "staging", "prod", "all", "web01", "web12", "db2", "mx", "web*", "web0?", "*1", "mail[0]", "db[-1]", "db[1:]", "web[2:5]", "staging[0:3]"}
	for range 300 {
		var parts []string
		for range 1 + r.IntN(4) {
			parts = append(parts, []string{"", "", "&", "!"}[r.IntN(4)]+words[r.IntN(len(words))])
		}
		sep := []string{":", ","}[r.IntN(2)]
		if parts[0][0] == '!' && sep == "," || len(parts) == 1 && parts[0][0] == '&' {
			continue // fleet's own grammar stands above: all but the first; a name is missing
		}
		patterns = append(patterns, strings.Join(parts, sep))
	}
	out, err := startOracle(t).ask(t, append([]string{"select", dir + "/inv"}, patterns...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != len(patterns) {
		t.Fatalf("%d answers to %d patterns", len(lines), len(patterns))
	}
	res, err := Load(t.Context(), Options{}, dir+"/inv")
	if err != nil {
		t.Fatal(err)
	}
	for i, pattern := range patterns {
		var want, got []string
		if err := json.Unmarshal([]byte(lines[i]), &want); err != nil {
			t.Fatal(err)
		}
		hosts, err := res.Inventory.Select(pattern)
		if err != nil {
			t.Errorf("%s: %v, ansible gives %v", pattern, err, want)
			continue
		}
		for _, h := range hosts {
			got = append(got, h.Name)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, ansible gives %v", pattern, got, want)
		}
	}
}

// TestPatternFile takes patterns from a file, and says what is wrong with them.
func TestPatternFile(t *testing.T) {
	dir := write(t, "inv", patternInventory, "some.retry", "# failed\nweb01\n\ndb:!db1\n", "bad", "web01\nwbe07\n", "loop", "@"+"loop\n")
	res, err := Load(t.Context(), Options{}, dir+"/inv")
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := res.Inventory.Select("@" + dir + "/some.retry,mx")
	if err != nil || fmt.Sprint(len(hosts)) != "4" {
		t.Errorf("%v, %v", hosts, err)
	}
	for pattern, want := range map[string]string{
		"@" + dir + "/bad":    dir + `/bad:2: "wbe07": column 1: no host or group "wbe07"`,
		"@" + dir + "/nosuch": "read " + dir + "/nosuch: no such file or directory",
		"@" + dir:             "no file of patterns",
		"@nosuch":             `no group "nosuch"`,
	} {
		if _, err := res.Inventory.Select(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
	t.Chdir(dir)
	if _, err := res.Inventory.Select("@loop"); err == nil || !strings.Contains(err.Error(), "files of patterns that name each other") {
		t.Error(err)
	}
	for pattern, want := range map[string]string{
		"web01:22":   `"web01:22": column 7: no host or group "22" (a port is given by --port, or in the inventory)`,
		"web[99:99]": "",
		"web[99]":    `"web[99]": column 1: no host or group "web99" (there is web[01-12]; the first of a group is web[0:0])`,
		"db[7:9]":    "",
		"mail[5]":    `"mail[5]": column 5: mail has 2 hosts, counted from 0`,
		"web:wbe":    `"web:wbe": column 5: no host or group "wbe" (did you mean "web"?)`,
		"web:&":      `"web:&": column 5: name missing at the end`,
		"web::db":    "",
	} {
		_, err := res.Inventory.Select(pattern)
		if want == "" && pattern != "web::db" {
			if err != nil {
				t.Errorf("%s: %v", pattern, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
}
