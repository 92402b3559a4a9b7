package settings

import (
	"apquic/internal/size"
)

// Size is a number of bytes, written as in "256MB" or "1GiB".
type Size = size.Size
