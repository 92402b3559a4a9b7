// Package nodeapi is what a running node answers its owner, at paths below /api/v1/: docs/api.md has them. The page for
// browsers and the command status use it.
//
// It must not change anything itself: what does is given to it.
package nodeapi
