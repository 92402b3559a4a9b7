// Package canary asks, from time to time, whether services answer, through their nodes to the upstreams and back
// (docs/protocol.md section 6.7). It costs nothing while no service wants that.
//
// It must not decide where a visitor would go, or what follows from an answer.
package canary
