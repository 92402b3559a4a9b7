package upstream

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"apquic/internal/hint"
)

// maxName bounds what is shown of a name in a certificate.
const maxName = 100

// pinError is the error for a certificate other than the pinned one.
type pinError struct{ leaf *x509.Certificate }

func (e *pinError) Error() string {
	return "the service has another certificate than the pinned one: " + describe(e.leaf)
}

func (e *pinError) Hint() string {
	return "if the service got a new certificate, put its pin into the file; otherwise somebody else answers there"
}

// explainTLS says what is wrong with an upstream that cannot be trusted, and what to put into the file.
func explainTLS(err error) error {
	if pin, ok := errors.AsType[*pinError](err); ok {
		return pin
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return hint.Add(errors.New("it does not speak TLS"), "write http:// instead of https:// for this service, or its port for TLS")
	}
	failed, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok || len(failed.UnverifiedCertificates) == 0 {
		return err
	}
	leaf := failed.UnverifiedCertificates[0]
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return hint.Add(fmt.Errorf("its certificate is from an authority that this machine does not know: %s", describe(leaf)),
			`put "ca": "/path/to/the/authority.pem" into the service, or, if this is its certificate, "pin": "%s"`, fingerprint(leaf))
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return hint.Add(fmt.Errorf("its certificate is for another name: %s", describe(leaf)),
			`write the name that is in the certificate, or, if this is the service's, "pin": "%s"`, fingerprint(leaf))
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return hint.Add(fmt.Errorf("its certificate is valid from %s to %s only", leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly)),
			"renew it, or set this machine's clock")
	}
	return err
}

// describe says whose certificate it is, and by whom.
func describe(leaf *x509.Certificate) string {
	names := make([]string, 0, 4)
	for _, name := range leaf.DNSNames[:min(len(leaf.DNSNames), 2)] {
		names = append(names, hint.Printable(name, maxName))
	}
	for _, ip := range leaf.IPAddresses[:min(len(leaf.IPAddresses), 2)] {
		names = append(names, ip.String())
	}
	return fmt.Sprintf("subject %q, issuer %q, names %q", hint.Printable(leaf.Subject.String(), maxName), hint.Printable(leaf.Issuer.String(), maxName), names)
}

func fingerprint(leaf *x509.Certificate) string {
	sum := sha256.Sum256(leaf.Raw)
	return hex.EncodeToString(sum[:])
}
