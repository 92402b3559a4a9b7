// Package notices tells the owner of a program what happens in it: by a request to a web server, or by a command.
//
// What happens are the events of an [events.Hub], and what follows from their absence, such as a node that has been away
// for a while. Whoever causes events, and whoever receives notices, is not trusted: events of a name are told so many
// times an hour, what waits is bounded, and neither a server that does not answer nor a command that does not end costs
// more than one request or process for a bounded time.
//
// The package must not follow redirects, run a shell, or log what a URL or a header has that may be secret.
package notices
