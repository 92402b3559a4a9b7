package carrier

import "testing"

// TestLayout: the fields of quic-go are those that unread knows. It counts what waits in TestUnread of package
// quicproxy.
func TestLayout(t *testing.T) {
	t.Parallel()
	if !layout().known {
		t.Error("quic-go is not as unread.go knows it")
	}
}
