// Package events keeps the last things that happened in a program, as its log says them, and shows them to whoever
// follows: as they come, and from where a reader stopped.
//
// A [Hub] is a log handler in front of the one that writes. It must not change lines, make lines of its own, or wait
// for a reader. Lines below [slog.LevelInfo] are no events.
package events
