package inventory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// factTable is facts by host and name; hosts that are not in it have none.
type factTable map[string]map[string]any

func (f factTable) Names() []string {
	return []string{"os", "os_version", "mem", "uptime", "ip", "disk_free"}
}

func (f factTable) Kind(name string) any {
	for _, facts := range f {
		if v := facts[name]; v != nil {
			return v
		}
	}
	return nil
}
func (f factTable) Hint(hosts string) string { return "gather those of " + hosts }

func (f factTable) Fact(h *Host, name string) (any, error) {
	facts, ok := f[h.Name]
	if !ok {
		return nil, errors.New("no facts")
	}
	return facts[name], nil
}

func conditions(t testing.TB) *Inventory {
	t.Helper()
	inv, err := Parse("f", []byte(`
hosts:
  web[1-2]: {vars: {role: front, weight: 10, zone: [a, b], rack: {row: 3}, canary: true}}
  web3: {port: 2222, user: root, vars: {role: front, weight: 2.5}}
  db1: {vars: {role: primary, os: appliance, odd.name: x}}
  db2: {vars: {role: "a,b&c"}}
  new1:
groups:
  web: {hosts: "web[1-3]"}
  old: {hosts: "web[1-3],db[1-2]"}
`))
	if err != nil {
		t.Fatal(err)
	}
	inv.UseFacts(factTable{
		"web1": {"os": "debian", "os_version": "12", "mem": Size(2 << 30), "uptime": 40 * 24 * time.Hour, "ip": []any{"10.1.2.3", "fd00::1"}, "disk_free:/var": Size(1 << 30)},
		"web2": {"os": "debian", "os_version": "11.9", "mem": Size(1 << 30), "uptime": time.Hour, "ip": []any{"10.2.0.1"}},
		"web3": {"os": "alpine", "os_version": "3.20.1", "mem": Size(512 << 20)},
		"db1":  {"mem": Size(64 << 30)},
		"db2":  {"os": "rocky", "os_version": "9.4", "mem": Size(64 << 30)},
	})
	return inv
}

func TestConditions(t *testing.T) {
	inv := conditions(t)
	for pattern, want := range map[string]string{
		"role=front":                      "web[1-3]",
		"role!=front":                     "db[1-2],new1",
		"role=pri*":                       "db1",
		"role~^p":                         "db1",
		"role~/^p|^f/!web2":               "db1,web[1,3]",
		`role="a,b&c"`:                    "db2",
		"weight>=2.5":                     "web[1-3]",
		"weight<5":                        "web3",
		"weight=10":                       "web[1-2]",
		"zone=b":                          "web[1-2]",
		"rack.row=3":                      "web[1-2]",
		"odd.name=x":                      "db1",
		"canary=true":                     "web[1-2]",
		"canary!=true&web":                "web3",
		"port=2222":                       "web3",
		"port>1024":                       "web3",
		"user=root,db1":                   "db1,web3",
		"name=web?":                       "web[1-3]",
		"old&os=debian":                   "web[1-2]",
		"old&os=debian&!mem<2G":           "web1",
		"old&os=appliance":                "db1", // the host's own variable stands above the fact
		"old & os != debian":              "db[1-2],web3",
		"old&os_version>=9":               "db2,web[1-2]",
		"old&os_version<12":               "db2,web[2-3]",
		"old&mem>=1GiB&mem<=2GB":          "web[1-2]",
		"old&mem=536870912":               "web3",
		"old&mem<0.75g":                   "web3",
		"web&uptime>30d":                  "web1",
		"web&uptime<=60m":                 "web2",
		"web&ip=10.0.0.0/8":               "web[1-2]",
		"web&ip=10.1.0.0/16":              "web1",
		"web&ip=fd00::/8":                 "web1",
		"web&ip!=10.1.0.0/16":             "web[2-3]",
		"web&disk_free:/var<2G":           "web1",
		"old!os=debian!os=rocky":          "db1,web3",
		"!new1!disk_free:/var<2G":         "db[1-2],web[2-3]",
		"!new1":                           "db[1-2],web[1-3]",
		"web&!web2,db1":                   "db1,web[1,3]",
		"!role=front":                     "db[1-2],new1",
		"web^role=front&weight>1":         "",
		"become=false&role=primary&web*1": "",
	} {
		hosts, err := inv.Select(pattern)
		if got := Fold(hostNames(hosts)); err != nil || got != want {
			t.Errorf("%s: got %q (%v), want %q", pattern, got, err, want)
		}
	}
}

func TestConditionErrors(t *testing.T) {
	inv := conditions(t)
	for pattern, want := range map[string]string{
		"os=debian":     `"os=debian": column 1: no facts of new1 (gather those of new1)`,
		"all!os=debian": `"all!os=debian": column 5: no facts of new1 (gather those of new1)`,
		"web&rol=x":     `column 5: no variable, setting or fact "rol" (did you mean "role"?)`,
		"mem<2Q":        `column 5: "2Q" is no size, as mem is`,
		"new1&mem>=2d":  `column 11: "2d" is no size, as mem is`,
		"uptime>3y":     `column 8: "3y" is no time, as uptime is`,
		"web&role=":     `column 5: no value after "role="`,
		"role=&web":     `column 1: no value after "role="`,
		`role="x`:       `column 6: a quote (") without its end`,
		`role="x"y`:     `column 9: "y" after a quoted value`,
		"role~":         `column 6: empty regular expression`,
		"role~[":        `column 6: regular expression: missing closing ]`,
		"role~/x/ y":    `column 10: "y" after a regular expression`,
		"role=nothing":  `column 1: no host matches "role=nothing"`,
		"db1=x":         `no variable, setting or fact "db1"`,
	} {
		_, err := inv.Select(pattern)
		var at *PatternError
		if !errors.As(err, &at) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
	for _, pattern := range []string{"role=front&role=nothing", "all!role=nothing"} { // only takes away
		if _, err := inv.Select(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// Versions are ordered as dpkg orders them.
func TestVersionsAsDpkg(t *testing.T) {
	path, err := exec.LookPath("dpkg")
	if err != nil {
		if os.Getenv("FLEET_REAL") == "1" && fileExists("/etc/debian_version") {
			t.Fatal("dpkg is not there")
		}
		t.Skip("dpkg, which judges, is on Debian only")
	}
	list := []string{"12", "11.9", "3.20.1", "3.20", "9", "9.4", "1.0~rc1", "1.0", "1.0a", "1.0+b", "6.1.0-31-amd64", "6.1.0-9-amd64", "5.15", "010", "10", "2024a", "2024b", "1.0.0", "1..0", "1.a"}
	r := rand.New(rand.NewPCG(8, 8))
	for range 120 {
		a, b := list[r.IntN(len(list))], list[r.IntN(len(list))]
		want := 0
		for sign, op := range map[int]string{-1: "lt", 1: "gt"} {
			if exec.Command(path, "--compare-versions", a, op, b).Run() == nil {
				want = sign
			}
		}
		if got := compareVersions(a, b); got*want < 0 || (got == 0) != (want == 0) {
			t.Errorf("%s and %s: %d, dpkg says %d", a, b, got, want)
		}
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// FuzzCondition holds each operator to its opposite, and the values to reading.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{"front", "2G", "30d", "10.0.0.0/8", "1e9", "*", `"a b"`, "-1", "12.1~rc", "0x10", "nan", "1e999", "k", "1_0G"} {
		f.Add("role", seed)
		f.Add("mem", seed)
	}
	inv := conditions(f)
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.ContainsAny(name, operators+" ") || strings.ContainsAny(value, operators+`"`) {
			return
		}
		count := func(op string) []string {
			hosts, err := inv.Select(fmt.Sprintf("old&%s%s%s", name, op, value))
			var at *PatternError
			if err != nil && (!errors.As(err, &at) || at.Column < 1 || strings.ContainsAny(err.Error(), "\n\x1b")) {
				t.Fatalf("%s%s%s: %v", name, op, value, err)
			}
			return hostNames(hosts)
		}
		if equal, other := count("="), count("!="); len(equal)+len(other) != 5 && len(equal)+len(other) != 0 {
			t.Fatalf("%s=%s: %v and %v", name, value, equal, other)
		}
		below, above := count("<"), count(">=")
		for _, host := range below {
			if slices.Contains(above, host) && name != "zone" && name != "ip" {
				t.Fatalf("%s<%s and >=: %s", name, value, host)
			}
		}
	})
}
