package private

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/internal/joint"
	"apquic/quicproxy"
)

// answerTimeout is how long the other node may take for the handshake, and then to connect its upstream.
const answerTimeout = 30 * time.Second

// Meant returns the node that a server says is meant by a name, or by its own id. known is asked whether a name means
// what it always meant.
func Meant(node string, told []byte, known func(name string, id certs.NodeID) error) (certs.NodeID, error) {
	if len(told) != len(certs.NodeID{}) || certs.NodeID(told).IsZero() {
		return certs.NodeID{}, errors.New("the server named no node")
	}
	id := certs.NodeID(told)
	if want, err := certs.ParseNodeID(node); err == nil {
		return want, nil // whatever the server says, this one has to prove its key
	}
	return id, known(node, id)
}

// Dial proves key to a node over a stream, has the node prove its id, and waits until the service is connected. After an
// error the stream is closed. The connection is a *Conn.
func Dial(ctx context.Context, stream Stream, key certs.PrivateKey, node certs.NodeID, service string) (net.Conn, error) {
	config, err := certs.ConnectTLS(key, node, service)
	if err != nil {
		joint.Reset(stream)
		return nil, err
	}
	stream.SetDeadline(time.Now().Add(answerTimeout))
	stop := context.AfterFunc(ctx, func() { stream.SetDeadline(time.Unix(1, 0)) })
	under := &watched{Stream: stream}
	c := &Conn{Conn: tls.Client(under, config), under: under}
	code, err := c.shakeHands()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil && code != framing.NoError {
		err = refused(code)
	}
	if err != nil {
		joint.Reset(c)
		return nil, explain(err)
	}
	stream.SetDeadline(time.Time{})
	return c, nil
}

// shakeHands returns the answer of the other node.
func (c *Conn) shakeHands() (framing.ErrorCode, error) {
	if err := c.Handshake(); err != nil {
		return framing.NoError, err
	}
	var answer [1]byte
	_, err := c.Conn.Read(answer[:])
	return framing.ErrorCode(answer[0]), err
}

// refused is what an answer other than NoError means.
func refused(code framing.ErrorCode) error {
	failure := &quicproxy.FailureError{Code: code, Text: fmt.Sprintf("the other node cannot connect its service: %v", code)}
	switch code {
	case framing.ErrorNoPrivateService:
		failure.Text, failure.Advice = "the other node does not let this one connect", "add the id of this node (apquic-node id) to allowNodes there"
	case framing.ErrorUpstreamRefused:
		failure.Text, failure.Advice = "the service of the other node refuses connections", "check that it runs and listens there"
	case framing.ErrorUpstreamUnreachable, framing.ErrorUpstreamTimeout:
		failure.Text, failure.Advice = "the service of the other node cannot be reached from there", "check its address in the configuration of that node"
	case framing.ErrorNodeBusy:
		failure.Text, failure.Advice = "the other node has too many connections now", "try again in a moment"
	}
	return failure
}

// explain says of an end before the answer what it may mean.
func explain(err error) error {
	if _, ok := errors.AsType[*certs.WrongNodeError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*quicproxy.FailureError](err); ok {
		return err
	}
	return hint.Add(fmt.Errorf("no connection to the other node: %w", err), "the other node may have lost its connection to the server: try again, and look at its log")
}
