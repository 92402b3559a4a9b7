// Package vhost learns from the first bytes of a public connection which domain it is for, and answers those
// that cannot be passed on.
//
// The bytes come from strangers: what is read is bounded, recorded as it came, and parsed by crypto/tls and
// net/http alone. The package must not decide who has a domain, or change a byte of what is passed on.
package vhost
