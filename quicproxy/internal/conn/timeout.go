package conn

import "time"

// HelloTimeout is how long a connection may exist before its Hello.
const HelloTimeout = 10 * time.Second
