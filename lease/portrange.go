package lease

import "apquic/lease/internal/portrange"

// PortRange is a set of ports, such as 20000-20010,30000.
type PortRange = portrange.Range

// ParsePortRange reads one.
func ParsePortRange(s string) (PortRange, error) { return portrange.Parse(s) }
