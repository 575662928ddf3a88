package source

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// badCertificate says whether a server could not prove who it is. Somebody else may
// have answered, which is not the same as a source that is down.
func badCertificate(err error) bool {
	var failed *tls.CertificateVerificationError
	return errors.As(err, &failed)
}

// wayOut says what to do about a fetch that went wrong, where that is known.
func (f *fetch) wayOut(err error) string {
	if !badCertificate(err) {
		return ""
	}
	way := "the certificate of the server is not to be trusted"
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &name):
		way = "write the URL with the name that the certificate is for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		way = "renew the certificate of the server, or set the clock of this machine"
	case errors.As(err, &unknown):
		way = "SSL_CERT_FILE=FILE names the certificates of authorities to trust"
	}
	if f.last != nil {
		age := time.Since(f.last.Fetched).Truncate(time.Hour) + time.Hour
		way += fmt.Sprintf("; the copy of %s is used with --inventory-age %.0fh", f.last.Fetched.Format(time.DateTime), age.Hours())
	}
	return way
}
