package quicproxy_test

import (
	"syscall"
	"testing"

	"github.com/quic-go/quic-go"

	"apquic/framing"
)

// TestEndsThatRelaysSurvive: whatever the code with which a connection is closed, its relays go on, except
// for Shutdown, with which a process says that it stops.
func TestEndsThatRelaysSurvive(t *testing.T) {
	for code, survives := range map[framing.ErrorCode]bool{
		framing.NoError: true, framing.ErrorInternal: true, framing.ErrorMalformed: true, framing.ErrorUnexpectedMessage: true,
		framing.ErrorKeepaliveTimeout: true, framing.ErrorSuperseded: true, framing.ErrorReplaced: true, 4711: true,
		framing.ErrorShutdown: false,
	} {
		for _, by := range []string{"server", "node"} {
			t.Run(by+" "+code.String(), func(t *testing.T) {
				simulate(t, func(t *testing.T, w *world) {
					server := w.startServer()
					w.serveTCP(web, echo)
					node := w.startNode(expose("web", web)).leasesWait(t)
					client := w.visit("20000")
					exchange(t, client, "before")
					conn := node.node.Inspect().Conn.QUIC
					if by == "server" {
						conn = server.server.Inspect().Primary[0].QUIC
					}
					conn.CloseWithError(quic.ApplicationErrorCode(code), "for the test")
					if survives {
						exchange(t, client, "after")
					} else if err := wantRead(client, "", syscall.ECONNRESET); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}
