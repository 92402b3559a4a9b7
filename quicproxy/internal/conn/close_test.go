package conn

import (
	"errors"
	"io"
	"os"
	"testing"

	"apquic/framing"
)

func TestCloseCodes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		code framing.ErrorCode
	}{
		{io.EOF, framing.NoError},
		{io.ErrUnexpectedEOF, framing.ErrorMalformed},
		{os.ErrDeadlineExceeded, framing.ErrorKeepaliveTimeout},
		{errors.New("other"), framing.ErrorInternal},
	} {
		if got := closeCode(test.err); got != test.code {
			t.Errorf("close %v: %v, want %v", test.err, got, test.code)
		}
	}
}
