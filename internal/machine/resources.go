package machine

const (
	// defaultMemoryShare is the part of the machine's memory that is the budget by default.
	defaultMemoryShare = 8
	// Relays leave some descriptors alone: for sockets of the session, public listeners, the files. It is a
	// part of what there is and at least so many.
	descriptorReserve, minDescriptorReserve = 16, 64
)

// Sockets is how many descriptors relays may have, those of the process less a reserve.
func Sockets() int {
	descriptors := Descriptors()
	return max(descriptors-max(descriptors/descriptorReserve, minDescriptorReserve), 1)
}

// MemoryBudget is the budget if none is given.
func MemoryBudget() int64 { return Memory() / defaultMemoryShare }
