package quicproxy

import "apquic/internal/machine"

const (
	// defaultMemoryShare is the part of the machine's memory that is the budget by default.
	defaultMemoryShare = 8
	// Relays leave some descriptors alone: for sockets of the session, public listeners, the files. It is a part
	// of what there is and at least so many.
	descriptorReserve, minDescriptorReserve = 16, 64
)

// descriptorsForRelays is how many descriptors relays may have, those of the process less a reserve.
func descriptorsForRelays() int {
	descriptors := machine.Descriptors()
	return max(descriptors-max(descriptors/descriptorReserve, minDescriptorReserve), 1)
}

// defaultMemory is the budget if none is given.
func defaultMemory() int64 { return machine.Memory() / defaultMemoryShare }
