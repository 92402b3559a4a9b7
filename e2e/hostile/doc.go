// Package hostile attacks the real programs: malicious strangers, public clients, nodes and servers against a
// server and a node started as people start them. Each test says the most that the attacked program may cost
// (memory, descriptors, log, writes) and checks that a good neighbour is served as before.
//
// Where the system allows it, the tests run in a network namespace of their own, so that no port and no limit
// of the machine is in the way. Programs must not import the package.
package hostile
