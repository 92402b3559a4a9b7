package quicproxy

import "time"

// helloTimeout bounds how long a connection may exist without having said who it is.
const helloTimeout = 10 * time.Second
