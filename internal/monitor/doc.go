// Package monitor answers the programs that watch a running one: its numbers for Prometheus at /metrics, /healthz (it
// runs) and /readyz (it can do its work). It is the only package that imports Prometheus. Nothing runs or is counted
// here while nobody asks; what is asked for is collected then.
//
// It must not know what the numbers mean, and tells nobody more at /healthz and /readyz than yes or no.
package monitor
