package server

import "testing"

// TestJoiningLane: a lane that is in its session, but whose Welcome is still being written, gets no relay.
func TestJoiningLane(t *testing.T) {
	t.Parallel()
	session := new(session)
	primary := &nodeConn{server: new(Server), instance: 1, session: session}
	lane := &nodeConn{instance: 1, session: session}
	lane.Lane = true
	session.lanes = []*nodeConn{lane}
	primary.carried = 10
	if got := primary.takeCarrier(nil); got != primary {
		t.Error("a relay is given to a lane that is not ready")
	}
	if isBusy(session, lane) || isExpectant(session, lane) {
		t.Error("a lane that is not ready is watched")
	}
}
