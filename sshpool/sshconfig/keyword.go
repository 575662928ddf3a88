package sshconfig

import "strings"

// kind says how the arguments of a keyword are read and kept.
type kind uint8

const (
	isUnused  kind = iota // has no effect here; arguments are not looked at
	isFlag                // yes or no
	isChoice              // one of a keyword's choices
	isNumber              // 0 to 2^31-1
	isTime                // seconds, or a sequence such as 1h30m; none
	isString              // one word
	isPort                // 1 to 65535
	isCommand             // the rest of the line as it is
	isStrings             // words; all of one line
	isFiles               // one word, and all lines count
	isAlgos               // a comma list with an optional + - ^ before it
	isProxy               // ProxyCommand and ProxyJump, which share one place
	isSendEnv
	isSetEnv
	isAgent // yes, no, or the path of a socket
	isHost
	isMatch
	isInclude
	isIgnoreUnknown
	isRefusal // ends a host's resolution; the word says why
)

// keyword is one keyword of ssh_config(5).
type keyword struct {
	name    string // in lower case, as ssh -G prints it
	kind    kind
	id      int               // in state.values
	choices map[string]string // for isChoice: word in lower case to its printed form
	def     string            // default, as ssh -G prints it; empty if none is printed
}

// The keywords that are looked at by name.
const (
	kwHostName = iota
	kwUser
	kwPort
	kwIdentityFile
	kwCertificateFile
	kwIdentitiesOnly
	kwIdentityAgent
	kwProxy
	kwUserKnownHostsFile
	kwGlobalKnownHostsFile
	kwHostKeyAlias
	kwStrictHostKeyChecking
	kwHashKnownHosts
	kwConnectTimeout
	kwConnectionAttempts
	kwServerAliveInterval
	kwServerAliveCountMax
	kwCiphers
	kwMACs
	kwKexAlgorithms
	kwHostKeyAlgorithms
	kwPubkeyAcceptedAlgorithms
	kwCASignatureAlgorithms
	kwPreferredAuthentications
	kwSetEnv
	kwSendEnv
	kwAddressFamily
	kwBindAddress
	kwBindInterface
	kwForwardAgent
	kwRequestTTY
	kwLogLevel
	kwBatchMode
	kwCompression
	kwPubkeyAuthentication
	kwPasswordAuthentication
	kwKbdInteractiveAuthentication
	kwNumberOfPasswordPrompts
	kwRequiredRSASize
	kwRevokedHostKeys
	kwCanonicalizeHostname
	kwTag
	kwCount
)

func choices(words ...string) map[string]string {
	m := make(map[string]string)
	for _, w := range words {
		from, to, ok := strings.Cut(w, ">")
		if !ok {
			to = from
		}
		m[from] = to
	}
	return m
}

// honoured lists the keywords that have an effect, in the order of their ids.
func honoured() []keyword {
	truth := []string{"true", "yes>true", "false", "no>false"}
	levels := choices("silent>SILENT", "quiet>SILENT", "fatal>FATAL", "error>ERROR", "info>INFO", "verbose>VERBOSE",
		"debug>DEBUG", "debug1>DEBUG", "debug2>DEBUG2", "debug3>DEBUG3")
	return []keyword{
		kwHostName:                     {name: "hostname", kind: isString},
		kwUser:                         {name: "user", kind: isString},
		kwPort:                         {name: "port", kind: isPort, def: "22"},
		kwIdentityFile:                 {name: "identityfile", kind: isFiles},
		kwCertificateFile:              {name: "certificatefile", kind: isFiles},
		kwIdentitiesOnly:               {name: "identitiesonly", kind: isFlag, def: "no"},
		kwIdentityAgent:                {name: "identityagent", kind: isString},
		kwProxy:                        {name: "proxycommand", kind: isProxy},
		kwUserKnownHostsFile:           {name: "userknownhostsfile", kind: isStrings},
		kwGlobalKnownHostsFile:         {name: "globalknownhostsfile", kind: isStrings},
		kwHostKeyAlias:                 {name: "hostkeyalias", kind: isString},
		kwStrictHostKeyChecking:        {name: "stricthostkeychecking", kind: isChoice, choices: choices(append(truth, "ask", "off>false", "accept-new")...), def: "ask"},
		kwHashKnownHosts:               {name: "hashknownhosts", kind: isFlag, def: "no"},
		kwConnectTimeout:               {name: "connecttimeout", kind: isTime, def: "none"},
		kwConnectionAttempts:           {name: "connectionattempts", kind: isNumber, def: "1"},
		kwServerAliveInterval:          {name: "serveraliveinterval", kind: isTime, def: "0"},
		kwServerAliveCountMax:          {name: "serveralivecountmax", kind: isNumber, def: "3"},
		kwCiphers:                      {name: "ciphers", kind: isAlgos},
		kwMACs:                         {name: "macs", kind: isAlgos},
		kwKexAlgorithms:                {name: "kexalgorithms", kind: isAlgos},
		kwHostKeyAlgorithms:            {name: "hostkeyalgorithms", kind: isAlgos},
		kwPubkeyAcceptedAlgorithms:     {name: "pubkeyacceptedalgorithms", kind: isAlgos},
		kwCASignatureAlgorithms:        {name: "casignaturealgorithms", kind: isAlgos},
		kwPreferredAuthentications:     {name: "preferredauthentications", kind: isString},
		kwSetEnv:                       {name: "setenv", kind: isSetEnv},
		kwSendEnv:                      {name: "sendenv", kind: isSendEnv},
		kwAddressFamily:                {name: "addressfamily", kind: isChoice, choices: choices("any", "inet", "inet6"), def: "any"},
		kwBindAddress:                  {name: "bindaddress", kind: isString},
		kwBindInterface:                {name: "bindinterface", kind: isString},
		kwForwardAgent:                 {name: "forwardagent", kind: isAgent, def: "no"},
		kwRequestTTY:                   {name: "requesttty", kind: isChoice, choices: choices(append(truth, "force", "auto")...), def: "auto"},
		kwLogLevel:                     {name: "loglevel", kind: isChoice, choices: levels, def: "INFO"},
		kwBatchMode:                    {name: "batchmode", kind: isFlag, def: "no"},
		kwCompression:                  {name: "compression", kind: isChoice, choices: choices("yes", "no"), def: "no"},
		kwPubkeyAuthentication:         {name: "pubkeyauthentication", kind: isChoice, choices: choices(append(truth, "unbound", "host-bound")...), def: "true"},
		kwPasswordAuthentication:       {name: "passwordauthentication", kind: isFlag, def: "yes"},
		kwKbdInteractiveAuthentication: {name: "kbdinteractiveauthentication", kind: isFlag, def: "yes"},
		kwNumberOfPasswordPrompts:      {name: "numberofpasswordprompts", kind: isNumber, def: "3"},
		kwRequiredRSASize:              {name: "requiredrsasize", kind: isNumber, def: "1024"},
		kwRevokedHostKeys:              {name: "revokedhostkeys", kind: isString},
		kwCanonicalizeHostname:         {name: "canonicalizehostname", kind: isChoice, choices: choices(append(truth, "always")...), def: "false"},
		kwTag:                          {name: "tag", kind: isString},
	}
}

// unused lists the keywords of OpenSSH that are known and have no effect here,
// those of old releases included.
const unused = `addkeystoagent afstokenpassing canonicaldomains canonicalizefallbacklocal
canonicalizemaxdots canonicalizepermittedcnames channeltimeout checkhostip cipher
clearallforwardings compressionlevel controlmaster controlpath controlpersist
dynamicforward enableescapecommandline enablesshkeysign escapechar
exitonforwardfailure fallbacktorsh fingerprinthash forkafterauthentication forwardx11
forwardx11timeout forwardx11trusted gatewayports globalknownhostsfile2
gssapiauthentication gssapiclientidentity gssapidelegatecredentials
gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity
gssapitrustdns hostbasedacceptedalgorithms hostbasedauthentication
hostbasedkeytypes ipqos kbdinteractivedevices kerberosauthentication
kerberostgtpassing keepalive knownhostscommand localcommand localforward logfacility
logverbose nohostauthenticationforlocalhost obscurekeystroketiming
permitlocalcommand permitremoteopen pkcs11provider protocol proxyusefdpass
rekeylimit remotecommand remoteforward rhostsauthentication
rhostsrsaauthentication rsaauthentication securitykeyprovider sessiontype
setuptimeout smartcarddevice stdinnull streamlocalbindmask streamlocalbindunlink
syslogfacility tcpkeepalive tunnel tunneldevice updatehostkeys useblacklistedkeys
useprivilegedport userknownhostsfile2 useroaming usersh verifyhostkeydns versionaddendum
visualhostkey warnweakcrypto xauthlocation`

// missed lists those of the unused that decide on whether a host is reached or
// trusted: each is worth a warning.
const missed = "knownhostscommand pkcs11provider hostbasedauthentication proxyusefdpass"

// otherNames are older and longer names for keywords.
var otherNames = map[string]string{
	"identityfile2":                   "identityfile",
	"pubkeyacceptedkeytypes":          "pubkeyacceptedalgorithms",
	"dsaauthentication":               "pubkeyauthentication",
	"challengeresponseauthentication": "kbdinteractiveauthentication",
	"skeyauthentication":              "kbdinteractiveauthentication",
	"tisauthentication":               "kbdinteractiveauthentication",
}

// keywords maps names in lower case to keywords.
func keywords() (byName map[string]*keyword, byID []keyword) {
	byName = make(map[string]*keyword)
	byID = honoured()
	for i := range byID {
		byID[i].id = i
		byName[byID[i].name] = &byID[i]
	}
	byName["proxyjump"] = byName["proxycommand"]
	for other, name := range otherNames {
		byName[other] = byName[name]
	}
	for name := range strings.FieldsSeq(unused) {
		byName[name] = &keyword{name: name, kind: isUnused}
	}
	byName["host"] = &keyword{name: "host", kind: isHost}
	byName["match"] = &keyword{name: "match", kind: isMatch}
	byName["include"] = &keyword{name: "include", kind: isInclude}
	byName["refuseconnection"] = &keyword{name: "refuseconnection", kind: isRefusal}
	byName["ignoreunknown"] = &keyword{name: "ignoreunknown", kind: isIgnoreUnknown}
	return byName, byID
}
