package engine

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"fleet/sshpool"
	"fleet/sshpool/sshconfig"
)

// transport takes over what ssh_config says of the connection itself.
func (r *resolver) transport(t *sshpool.Target, found *sshconfig.Resolved) (err error) {
	if f := found.AddressFamily.V; f != "any" {
		t.Family = f
	}
	if v := found.BindAddress; v.IsSet() {
		if t.BindAddress = v.V; net.ParseIP(v.V) == nil {
			return hinted(at(v.From.String(), fmt.Errorf("BindAddress %q is no IP address", v.V)), "write the address itself, or leave the line out")
		}
	}
	if v := found.BindInterface; v.IsSet() {
		r.later(v.From.String() + ": BindInterface has no effect here; BindAddress has")
	}
	if v := found.ConnectionAttempts; v.IsSet() {
		t.Attempts = v.V
	}
	t.OfferEnv = r.environment(found)
	t.Algorithms, err = r.algorithms(found)
	return err
}

// environment is what SendEnv and SetEnv give a host: NAME=VALUE. SetEnv wins.
func (r *resolver) environment(found *sshconfig.Resolved) []string {
	if len(found.SendEnv) == 0 && len(found.SetEnv) == 0 {
		return nil
	}
	var id strings.Builder
	for _, v := range slices.Concat(found.SetEnv, []sshconfig.Value[string]{{}}, found.SendEnv) {
		id.WriteString(v.V + "\x00")
	}
	list, _ := r.envs.get(r, id.String(), func() ([]string, error) {
		var list []string
		set := make(map[string]bool)
		for _, v := range found.SetEnv {
			name, _, _ := strings.Cut(v.V, "=")
			set[name] = true
			list = append(list, v.V)
		}
		for _, kv := range os.Environ() {
			name, _, _ := strings.Cut(kv, "=")
			sent := func(v sshconfig.Value[string]) bool { return sshconfig.MatchPattern(v.V, name) }
			if !set[name] && slices.ContainsFunc(found.SendEnv, sent) {
				list = append(list, kv)
			}
		}
		return list, nil
	})
	return list
}

// algorithms are the lists that ssh_config changes. Names that are not known
// here are left out with a warning; it is an error if none is left.
func (r *resolver) algorithms(found *sshconfig.Resolved) (sshpool.Algorithms, error) {
	id := strings.Join([]string{string(found.KexAlgorithms.V), string(found.Ciphers.V), string(found.MACs.V), string(found.HostKeyAlgorithms.V)}, "\x00")
	if len(id) == 3 {
		return sshpool.Algorithms{}, nil
	}
	return r.offers.get(r, id, func() (out sshpool.Algorithms, err error) {
		defaults, supported := sshpool.DefaultAlgorithms(), sshpool.SupportedAlgorithms()
		for _, list := range []struct {
			keyword   string
			spec      sshconfig.Value[sshconfig.Algorithms]
			defaults  []string
			supported []string
			to        *[]string
		}{
			{"KexAlgorithms", found.KexAlgorithms, defaults.KeyExchanges, supported.KeyExchanges, &out.KeyExchanges},
			{"Ciphers", found.Ciphers, defaults.Ciphers, supported.Ciphers, &out.Ciphers},
			{"MACs", found.MACs, defaults.MACs, supported.MACs, &out.MACs},
			{"HostKeyAlgorithms", found.HostKeyAlgorithms, defaults.HostKeys, supported.HostKeys, &out.HostKeys},
		} {
			if list.spec.V == "" {
				continue
			}
			if *list.to, err = list.spec.V.Apply(list.defaults, list.supported); err != nil {
				return out, hinted(at(list.spec.From.String(), fmt.Errorf("%s: %w", list.keyword, err)), "known here: "+strings.Join(list.supported, ","))
			}
			if names := list.spec.V.Unsupported(list.supported); len(names) > 0 {
				r.later(fmt.Sprintf("%s: %s: not known here and left out: %s", list.spec.From, list.keyword, strings.Join(names, ",")))
			}
		}
		return out, nil
	})
}

// Session is what ssh_config says of a session on a host, for those who open
// one by hand.
type Session struct {
	TTY          string   // no, yes, force, auto (RequestTTY)
	ForwardAgent string   // socket of the agent to forward; empty for none
	OfferEnv     []string // NAME=VALUE of SendEnv and SetEnv
	LogLevel     string   // QUIET is SILENT, to DEBUG3
}

// session says what is asked of a session on a host.
func (r *resolver) session(t *sshpool.Target, found *sshconfig.Resolved) Session {
	s := Session{TTY: found.RequestTTY.V, OfferEnv: t.OfferEnv, LogLevel: found.LogLevel.V}
	switch v := found.ForwardAgent.V; {
	case v == "yes":
		s.ForwardAgent = r.Agent
	case strings.HasPrefix(v, "$"):
		s.ForwardAgent = os.Getenv(v[1:])
	case v != "no":
		s.ForwardAgent = v
	}
	return s
}
