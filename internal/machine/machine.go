// Package machine reports how much of this machine the process may use. It asks the system at each call and
// changes nothing.
package machine

// unknownMemory is assumed where the system does not say.
const unknownMemory = 1 << 30

// unlimited is more descriptors than any process can use.
const unlimited = 1 << 30

// Memory is how many bytes of memory the process may use: the machine's, or less in a container with a limit.
func Memory() int64 {
	memory := physicalMemory()
	if memory <= 0 {
		memory = unknownMemory
	}
	if limit := containerLimit(); limit > 0 {
		memory = min(memory, limit)
	}
	return memory
}
