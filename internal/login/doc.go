// Package login decides who may visit a web site: who has a certificate, knows a password, or is known to an
// OpenID Connect provider. A Guard stands before the handler of a site, which then learns who visits it.
//
// It must not know of tunnels or upstreams, let strangers cost more than a bounded amount of work, or show a
// secret to anybody: not in logs, not in errors, and not to the site.
package login
