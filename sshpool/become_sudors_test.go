package sshpool

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fleet/internal/sshtest"
)

// sudoRS stands in for sudo-rs where no package has it. It takes our flags as that
// does, asks for a password on standard error, reads one byte by byte, and says
// what the source of version 0.2.8 says (src/pam/converse.rs, src/pam/rpassword.rs,
// src/sudo/pam.rs, src/common/error.rs); version 0.2.4 heeds no SUDO_PROMPT. MODE is what is
// to happen. It becomes nobody.
const sudoRS = `#!/bin/sh
n= p=${SUDO_PROMPT:-authenticate}
[ MODE != old ] || p=authenticate
while :; do
	case $1 in
	-n) n=1; shift ;;
	-k|-S) shift ;;
	-u) shift 2 ;;
	--) shift; break ;;
	*) echo "sudo: unrecognized option '$1'" >&2; exit 1 ;;
	esac
done
ask() {
	[ -z "$n" ] || { echo "sudo: interactive authentication is required" >&2; exit 1; }
	printf "[sudo: %s] %s" "$p" "$1" >&2
	IFS= read -r answer || exit 1
	echo >&2
}
case MODE in
free) exec "$@" ;;
denied)
	ask "Password: "
	echo "sudo: I'm sorry ann. I'm afraid I can't do that" >&2; exit 1 ;;
esac
for try in 1 2 3; do
	ask "Password: "
	if [ "$answer" = right ]; then
		[ MODE != factor ] || ask "Verification code: "
		exec "$@"
	fi
	[ $try = 3 ] || echo "sudo: Authentication failed, try again." >&2
done
echo "sudo: Maximum 3 incorrect authentication attempts" >&2
exit 1
`

// TestBecomeSudoRS becomes another user by what speaks as sudo-rs does.
func TestBecomeSudoRS(t *testing.T) {
	right, wrong := &Become{Password: secret("right")}, &Become{Password: secret("wrong")}
	for name, start := range realServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			write("shell", "#!/bin/sh\nPATH="+dir+":$PATH exec /bin/sh \"$@\"\n")
			s := start(t, sshtest.Shell(filepath.Join(dir, "shell")))
			c := mustDial(t, realTarget(t, s))
			for _, row := range []struct {
				mode   string
				become *Become
				want   Kind
				text   string
			}{
				{"asked", right, "", ""},
				{"asked", wrong, KindBecomePassword, "sudo did not take the password"},
				{"asked", &Become{}, KindBecomeDenied, "sudo asks for a password, and there is none"},
				{"free", right, "", ""},
				{"free", &Become{}, "", ""},
				{"denied", right, KindBecomeDenied, "sudo did not begin the command (exit status 1): "},
				{"factor", right, KindBecomeDenied, `sudo asks for more than a password: "Verification code:"`},
				{"old", right, "", ""},
				{"old", wrong, KindBecomePassword, "sudo did not take the password"},
			} {
				write("sudo", strings.ReplaceAll(sudoRS, "MODE", row.mode))
				var out, errs bytes.Buffer
				r, err := c.Run(testContext(t), Command{Text: "cat; echo did", Become: row.become, Stdin: strings.NewReader("in\n"), Stdout: &out, Stderr: &errs})
				if row.want != "" {
					if e := wantError(t, err, row.want, StageBecome); !strings.HasPrefix(e.Text, row.text) {
						t.Errorf("%s: %q, want %q", row.mode, e.Text, row.text)
					}
					c = mustDial(t, realTarget(t, s))
					continue
				}
				if err != nil || out.String() != "in\ndid\n" || errs.Len() > 0 || r.Supervised.NoiseBytes > 0 {
					t.Errorf("%s: %q, %q, %+v, %v", row.mode, &out, &errs, r, err)
				}
			}
		})
	}
}
