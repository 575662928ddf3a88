package inventory

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

func TestSecretIsHidden(t *testing.T) {
	h := Host{Name: "a", Settings: Settings{Password: NewSecret("hunter2")}, Vars: map[string]any{"p": NewSecret("hunter2"), "l": Hide([]any{"hunter2", map[string]any{"k": "hunter2"}})}}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "s", h.Password, "v", h.Vars)
	doc, err := json.Marshal(map[string]any{"vars": h.Vars, "settings": h.Settings})
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(h.Vars)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprintf("%v %+v %#v %s %q %x %d", h.Password, h, h, h.Password, h.Password, h.Password, h.Password), fmt.Sprint(h.Vars), string(doc), string(text), logged.String(),
	} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, "68756e74657232") || !strings.Contains(shown, Hidden) {
			t.Error(shown)
		}
	}
	if h.Password.Text() != "hunter2" || NewSecret(int64(1234)).Text() != "1234" || (Secret{}).Text() != "" || (Secret{}).IsSet() {
		t.Error("not the secret")
	}
	want := map[string]any{"p": "hunter2", "l": []any{"hunter2", map[string]any{"k": "hunter2"}}}
	if got := Reveal(h.Vars); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if !NewSecret("a").Equal(NewSecret("a")) || NewSecret("a").Equal(NewSecret("b")) || NewSecret("a").Equal(Secret{}) {
		t.Error("not equal as it should be")
	}
}

// TestJumpPasswordIsNotTold refuses a password among jump hosts without a word of it.
func TestJumpPasswordIsNotTold(t *testing.T) {
	for _, hop := range []string{"ops:hunter2@gw", "ops:hunter$2@gw:22", "ssh://ops:hunter 2@gw"} {
		_, err := Parse("hosts.yaml", fmt.Appendf(nil, "hosts:\n  a: {jump: [bastion, %q]}\n", hop))
		list, ok := err.(Errors)
		if !ok || len(list) != 1 || list[0].Line != 2 || !strings.Contains(list[0].Msg, "a password has no place in an inventory") {
			t.Fatalf("%s: %v", hop, err)
		}
		if strings.Contains(fmt.Sprintf("%+v", *list[0]), "hunter") {
			t.Errorf("told: %+v", *list[0])
		}
	}
	if _, err := Parse("hosts.yaml", []byte("hosts: {a: {jump: ['ops@gw:22', 'ops@[::1]:22', 'ops@2001:db8::1']}}\n")); err != nil {
		t.Error(err)
	}
}
