package upstream

import (
	"context"
	"net"
	"os"
	"syscall"
	"testing"

	"apquic/framing"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code framing.ErrorCode
	}{
		{&net.OpError{Err: syscall.ECONNREFUSED}, framing.ErrorUpstreamRefused},
		{os.ErrNotExist, framing.ErrorUpstreamRefused},
		{context.DeadlineExceeded, framing.ErrorUpstreamTimeout},
		{syscall.EHOSTUNREACH, framing.ErrorUpstreamUnreachable},
	} {
		if got := Code(test.err); got != test.code {
			t.Errorf("%v: %v, want %v", test.err, got, test.code)
		}
	}
}
