// Package pace divides a number of bytes per second among those who move bytes.
//
// It must not know what they move, read or write anything, or start a goroutine. Whoever shares no rate pays
// nothing for it.
package pace
