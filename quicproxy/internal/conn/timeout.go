package conn

import "time"

// HelloTimeout bounds how long a connection may exist without having said who it is.
const HelloTimeout = 10 * time.Second
