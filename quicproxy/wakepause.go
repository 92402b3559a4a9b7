package quicproxy

import "time"

// wakePause is the time between two Keepalives of a node that is asked for them: anybody may send the datagram.
const wakePause = time.Second
