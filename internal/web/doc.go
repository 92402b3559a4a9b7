// Package web is a web site in front of a service: it ends TLS and HTTP for the clients of a domain, and passes
// each request on to an upstream that speaks HTTP.
//
// HTTP is parsed by net/http and passed on by httputil.ReverseProxy alone. The package must not know of tunnels,
// or where certificates come from.
package web
