package path

import "time"

// WakePause is the least time between two Keepalives that wake datagrams cause, since anybody can send one.
const WakePause = time.Second
