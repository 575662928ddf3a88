package sshpool

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"

	"fleet/internal/lab"
)

// server serves logins as cfg says and gives the way in, without credentials.
func server(t *testing.T, cfg *ssh.ServerConfig) Target {
	t.Helper()
	host := mustSigner(t, newKey(t))
	cfg.AddHostKey(host)
	addr := serveEach(t, "tcp", func(nc net.Conn) {
		c, chans, reqs, err := ssh.NewServerConn(nc, cfg)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(reqs)
		for nc := range chans {
			nc.Reject(ssh.Prohibited, "")
		}
		c.Wait()
	})
	return Target{Address: "127.0.0.1", Port: int(netip.MustParseAddrPort(addr).Port()), User: "me", Name: "web1", HostKeys: &exactly{host.PublicKey()}}
}

// asks is a server that asks each login the questions of each round; right
// tells whether the answers let it in.
func asks(t *testing.T, right func(answers []string) bool, rounds ...[]Question) Target {
	return server(t, &ssh.ServerConfig{MaxAuthTries: -1,
		KeyboardInteractiveCallback: func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			var all []string
			for _, questions := range rounds {
				var texts []string
				var echos []bool
				for _, q := range questions {
					texts, echos = append(texts, q.Text), append(echos, q.Echo)
				}
				got, err := ask("Sign\x1b]0;x\x07 in", "line 1\r\nline 2\x1b[2J", texts, echos)
				if err != nil {
					return nil, err
				}
				all = append(all, got...)
			}
			if !right(all) {
				return nil, errors.New("wrong")
			}
			return nil, nil
		}})
}

func is(want ...string) func([]string) bool {
	return func(got []string) bool { return slices.Equal(got, want) }
}

// TestQuestions answers from answers, then the password, then a person, to whom
// texts come safe.
func TestQuestions(t *testing.T) {
	target := asks(t, is("one", "secret", "two"),
		[]Question{{"First: ", true}, {"Password: ", false}}, []Question{{"Code\x1b[31m\u202e: ", false}})
	answers, err := ReadAnswers(strings.NewReader("first = one\n"))
	if err != nil {
		t.Fatal(err)
	}
	var told [][]Question
	target.Auth = &Auth{Answers: answers, Password: func(context.Context) (string, error) { return "secret", nil },
		Interactive: func(_ context.Context, host, name, instruction string, q []Question) ([]string, error) {
			told = append(told, q)
			if host != "web1" || name != `Sign\x1b]0;x\a in` || instruction != "line 1\nline 2\\x1b[2J" {
				t.Errorf("asked by %q: %q, %q", host, name, instruction)
			}
			return []string{"two"}, nil
		}}
	mustDial(t, target)
	if want := [][]Question{{{`Code\x1b[31m\u202e: `, false}}}; !reflect.DeepEqual(told, want) {
		t.Errorf("asked %v", told)
	}
}

// TestQuestionsWithoutAnswer names the question; no secret goes where it may be
// read, and the password not into a second question.
func TestQuestionsWithoutAnswer(t *testing.T) {
	sent := atomic.Int32{}
	password := func(context.Context) (string, error) { sent.Add(1); return "secret", nil }
	for want, questions := range map[string][][]Question{
		`the question "Name: " has no answer`:      {{{"Name: ", true}}},
		`the question "Password2: " has no answer`: {{{"Password: ", false}}, {{"Password2: ", false}}},
	} {
		target := asks(t, func([]string) bool { t.Error("all was answered"); return false }, questions...)
		target.Auth = &Auth{Password: password}
		_, err := Dial(testContext(t), target)
		e := wantError(t, err, KindAuth, StageAuth)
		if !strings.Contains(e.Text, want) || strings.Contains(e.Text, "secret") {
			t.Errorf("text %q, want %q", e.Text, want)
		}
	}
	if n := sent.Load(); n != 1 {
		t.Errorf("password asked for %d times", n)
	}
}

// TestPersonIsAskedThreeTimes lets people mistype, one login at a time.
func TestPersonIsAskedThreeTimes(t *testing.T) {
	target := asks(t, is("right"), []Question{{"Code: ", false}})
	var open, most, asked atomic.Int32
	auth := func(right int32) *Auth {
		asked.Store(0)
		return &Auth{Interactive: func(context.Context, string, string, string, []Question) ([]string, error) {
			most.Store(max(most.Load(), open.Add(1)))
			defer open.Add(-1)
			if asked.Add(1) == right {
				return []string{"right"}, nil
			}
			return []string{"wrong"}, nil
		}}
	}
	target.Auth = auth(3)
	mustDial(t, target)
	target.Auth = auth(-1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := Dial(testContext(t), target)
			var e *Error
			if !errors.As(err, &e) || e.Kind != KindAuth {
				t.Errorf("error %v", err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 4*maxAsks || most.Load() != 1 {
		t.Errorf("asked %d times, %d at once", asked.Load(), most.Load())
	}
	target.Auth = &Auth{Interactive: func(context.Context, string, string, string, []Question) ([]string, error) {
		return nil, errors.New("nobody there")
	}}
	_, err := Dial(testContext(t), target)
	if e := wantError(t, err, KindAuth, StageAuth); e.Text != "nobody there" || !e.untried {
		t.Errorf("error %+v", e)
	}
}

// TestEndless ends logins that are never enough: steps without end, and
// questions without end in one step.
func TestEndless(t *testing.T) {
	w := newWorld(t, lab.Config{Names: []string{"h1"}, Password: "p", Faults: map[string]lab.Fault{"h1": "partial-auth-endless"}})
	asked := 0
	w.auth.Interactive = func(context.Context, string, string, string, []Question) ([]string, error) {
		asked++
		return []string{"more"}, nil
	}
	rounds := make([][]Question, 1000)
	for i := range rounds {
		rounds[i] = []Question{{"Code: ", true}}
	}
	other := asks(t, is(), rounds...)
	other.Auth = w.auth
	for _, target := range []Target{w.target(t, "h1"), other} {
		asked = 0
		_, err := Dial(testContext(t), target)
		e := wantError(t, err, KindAuth, StageAuth)
		if e.Text != "login refused: the host asks without end" || asked < maxRounds-1 || asked > maxRounds {
			t.Errorf("%q after %d questions", e.Text, asked)
		}
	}
}

// TestOnlyGSSAPI says what the host wants where that is nothing we have.
func TestOnlyGSSAPI(t *testing.T) {
	target := server(t, &ssh.ServerConfig{GSSAPIWithMICConfig: &ssh.GSSAPIWithMICConfig{
		AllowLogin: func(ssh.ConnMetadata, string) (*ssh.Permissions, error) { return nil, errors.New("no") }, Server: noGSSAPI{}}})
	target.Auth = &Auth{Signers: []ssh.Signer{mustSigner(t, newKey(t))}}
	_, err := Dial(testContext(t), target)
	if e := wantError(t, err, KindAuth, StageAuth); e.Text != "no way to log in; the host allows only gssapi-with-mic, which is not supported" {
		t.Errorf("text %q", e.Text)
	}
}

type noGSSAPI struct{}

func (noGSSAPI) AcceptSecContext([]byte) ([]byte, string, bool, error) {
	return nil, "", false, errors.New("no")
}
func (noGSSAPI) VerifyMIC([]byte, []byte) error { return errors.New("no") }
func (noGSSAPI) DeleteSecContext() error        { return nil }

func TestMethods(t *testing.T) {
	var tried []string
	target := server(t, &ssh.ServerConfig{
		PasswordCallback:  func(ssh.ConnMetadata, []byte) (*ssh.Permissions, error) { return nil, errors.New("no") },
		PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil },
		AuthLogCallback:   func(_ ssh.ConnMetadata, method string, _ error) { tried = append(tried, method) },
	})
	key := []ssh.Signer{mustSigner(t, newKey(t))}
	password := func(context.Context) (string, error) { return "p", nil }
	target.Auth = &Auth{Signers: key, Password: password, Methods: []string{"gssapi-with-mic", "password", "publickey"}}
	mustDial(t, target).Close()
	if !slices.Equal(tried, []string{"none", "password", "publickey"}) {
		t.Errorf("tried %v", tried)
	}
	target.Auth = &Auth{Signers: key, KeyAlgorithms: []string{ssh.KeyAlgoRSASHA512}}
	_, err := Dial(testContext(t), target)
	if e := wantError(t, err, KindAuth, StageAuth); !strings.Contains(e.Text, "is of none of the algorithms that are allowed here") {
		t.Errorf("text %q", e.Text)
	}
}

func TestReadAnswers(t *testing.T) {
	got, err := ReadAnswers(strings.NewReader("# comment\n\n  Token [a-z] =  x = y \r\n/^PIN = \\d+:$/ = \n"))
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	if !got[0].Question.MatchString("your tOKEN [A-Z]: ") || got[0].Question.MatchString("Token b") || got[0].Text != " x = y " {
		t.Errorf("%q", got[0])
	}
	if !got[1].Question.MatchString("PIN = 4:") || got[1].Question.MatchString("pin = 4:") || got[1].Text != "" {
		t.Errorf("%q", got[1])
	}
	for _, bad := range []string{"hunter2", "= hunter2", "/(/ = hunter2", "/x = hunter2", "/ = hunter2", "  / = hunter2", "// = hunter2"} {
		_, err := ReadAnswers(strings.NewReader("\n" + bad))
		if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
