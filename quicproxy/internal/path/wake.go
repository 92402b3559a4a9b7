package path

import "time"

// WakePause is the time between two Keepalives of a node that is asked for them: anybody may send the datagram.
const WakePause = time.Second
