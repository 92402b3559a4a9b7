// Package hostile attacks the real programs: strangers, public clients, nodes and servers that mean harm,
// against a server and a node started as people start them. Each test says what the attacked program may cost
// at most (memory, descriptors, log, writes) and that a good neighbour is served as before.
//
// The tests run in a network namespace of their own where the system allows it, so that no port and no limit
// of the machine is in the way. The package has no code for programs.
package hostile
