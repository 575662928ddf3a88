package sshpool

import (
	"slices"

	"golang.org/x/crypto/ssh"
)

// DefaultAlgorithms are the lists that are offered where a Target names none:
// without SHA-1 and DSA. The caller owns them.
func DefaultAlgorithms() Algorithms {
	safe := safeAlgorithms()
	keys := ssh.SupportedAlgorithms().HostKeys
	rankHostKeys(keys)
	return Algorithms{
		KeyExchanges: slices.Clone(safe.KeyExchanges), Ciphers: slices.Clone(safe.Ciphers),
		MACs: slices.Clone(safe.MACs), HostKeys: keys,
	}
}

// SupportedAlgorithms are all that a Target can name, also those that are
// broken and never offered unasked. The caller owns them.
func SupportedAlgorithms() Algorithms {
	safe, weak := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	return Algorithms{
		KeyExchanges: slices.Concat(safe.KeyExchanges, weak.KeyExchanges),
		Ciphers:      slices.Concat(safe.Ciphers, weak.Ciphers),
		MACs:         slices.Concat(safe.MACs, weak.MACs),
		HostKeys:     slices.Concat(safe.HostKeys, weak.HostKeys),
	}
}
