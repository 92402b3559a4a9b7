package conn

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	"apquic/certs"
	"apquic/framing"
	"apquic/internal/hint"
	"apquic/quicproxy"
	"apquic/quicproxy/internal/wait"
)

// controlBuffer holds several messages of the usual size; the server has one buffer per idle node.
const controlBuffer = 512

// ControlStream carries the signed messages of one connection (docs/protocol.md sections 3 to 5). Its owner
// calls Serve, which reads until the stream ends; anybody may send.
type ControlStream struct {
	Conn   *quic.Conn
	Stream *quic.Stream
	reader *bufio.Reader   // only Read uses it
	opener *framing.Opener // and this
	// SlowDown returns for how long to stop reading after a message; nil: not at all. It is set before Serve.
	SlowDown func(framing.Envelope) time.Duration
	Greeted  bool // Welcome came; only Serve uses it
	// writeTimeout bounds how long a peer that does not read its control stream can block writers. A write
	// may wait behind full relays for the end of an outage and for QUIC to recover from it, so it is twice
	// the idle timeout.
	writeTimeout time.Duration

	// turn is held from sealing a message to the end of its write, so that nonces go out in order. A channel,
	// so that a context can end the wait for it.
	turn   chan struct{}
	sealer *framing.Sealer

	posted wait.Queue[post]

	mu          sync.Mutex
	lastRequest uint64
	pending     map[uint64]chan framing.Envelope
}

// NewControlStream binds the control stream to the keys that TLS proved and to this very connection.
func NewControlStream(conn *quic.Conn, stream *quic.Stream, key certs.PrivateKey, role framing.Role, netID uint32, idleTimeout time.Duration) (*ControlStream, error) {
	state := conn.ConnectionState().TLS
	peer, err := certs.PeerID(state)
	if err != nil {
		return nil, err
	}
	exporter, err := state.ExportKeyingMaterial(framing.ExporterLabel, nil, 32)
	if err != nil {
		return nil, fmt.Errorf("binding the control stream to its connection: %w", err)
	}
	stream.SetPriority(0, false)
	binding := framing.Binding{Exporter: [32]byte(exporter), NetID: netID}
	own := key.ID()
	return &ControlStream{
		Conn:    conn,
		Stream:  stream,
		reader:  bufio.NewReaderSize(stream, controlBuffer),
		opener:  framing.NewOpener(ed25519.PublicKey(peer[:]), otherRole(role), binding),
		sealer:  framing.NewSealer(key.Sign, ed25519.PublicKey(own[:]), role, binding),
		turn:    make(chan struct{}, 1),
		pending: make(map[uint64]chan framing.Envelope),

		writeTimeout: 2 * idleTimeout,
	}, nil
}

func otherRole(r framing.Role) framing.Role {
	if r == framing.RoleNode {
		return framing.RoleServer
	}
	return framing.RoleNode
}

// Read returns the next message; only one goroutine may call it at a time.
func (c *ControlStream) Read(timeout time.Duration) (framing.Envelope, error) {
	if timeout > 0 {
		c.Stream.SetReadDeadline(time.Now().Add(timeout))
		defer c.Stream.SetReadDeadline(time.Time{})
	}
	return c.opener.Open(c.reader)
}

// Serve reads until the stream ends: replies go to their requests, the rest to handle. It returns the error
// of the stream or of handle, never nil.
func (c *ControlStream) Serve(handle func(framing.Envelope) error) error {
	for {
		envelope, err := c.Read(0)
		if err == nil {
			err = envelope.CheckKind()
		}
		if err != nil {
			return err
		}
		if envelope.Reply {
			err = c.deliver(envelope)
		} else {
			err = handle(envelope)
		}
		if err != nil {
			return err
		}
		if c.SlowDown != nil {
			wait.Sleep(c.Conn.Context(), c.SlowDown(envelope))
		}
	}
}

// deliver hands a reply to its request. It drops a late one, whose request gave up.
func (c *ControlStream) deliver(reply framing.Envelope) error {
	c.mu.Lock()
	waiting, ok := c.pending[reply.RequestNonce]
	delete(c.pending, reply.RequestNonce)
	asked := reply.RequestNonce > 0 && reply.RequestNonce <= c.lastRequest
	c.mu.Unlock()
	if ok {
		c.Greeted = c.Greeted || reply.Opcode == framing.OpWelcome
		waiting <- reply // has room for the one reply
	} else if !asked {
		return &framing.ProtocolError{Code: framing.ErrorUnexpectedMessage, Text: "a reply to a request that was never made"}
	}
	return nil
}

// Send writes a message that expects no reply.
func (c *ControlStream) Send(op framing.Opcode, message proto.Message) error {
	return c.write(c.Stream.Context(), op, message, 0, false)
}

// Reply answers the request to.
func (c *ControlStream) Reply(to framing.Envelope, op framing.Opcode, message proto.Message) error {
	return c.write(c.Stream.Context(), op, message, to.RequestNonce, true)
}

// Request sends a message and waits for its reply, which it decodes into reply if it has the opcode want. A
// Failure is returned as a *FailureError.
func (c *ControlStream) Request(ctx context.Context, op framing.Opcode, message proto.Message, want framing.Opcode, reply proto.Message) error {
	waiting := make(chan framing.Envelope, 1)
	c.mu.Lock()
	c.lastRequest++
	nonce := c.lastRequest
	c.pending[nonce] = waiting
	c.mu.Unlock()
	defer c.forget(nonce)
	if err := c.write(ctx, op, message, nonce, false); err != nil {
		return err
	}
	select {
	case envelope := <-waiting:
		return decodeReply(envelope, want, reply)
	case <-ctx.Done():
		return fmt.Errorf("waiting for the answer to %v: %w", op, context.Cause(ctx))
	case <-c.Stream.Context().Done():
		return fmt.Errorf("waiting for the answer to %v: %w", op, context.Cause(c.Stream.Context()))
	}
}

func (c *ControlStream) forget(nonce uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, nonce)
}

func decodeReply(envelope framing.Envelope, want framing.Opcode, reply proto.Message) error {
	switch envelope.Opcode {
	case want:
		return envelope.Decode(reply)
	case framing.OpFailure:
		var failure framing.Failure
		if err := envelope.Decode(&failure); err != nil {
			return err
		}
		return &quicproxy.FailureError{
			Code: framing.ErrorCode(failure.Code), Text: hint.Printable(failure.Text, MaxText), Advice: hint.Printable(failure.Hint, MaxText),
			RetryAfter: boundedRetry(failure.RetryAfterMilliseconds),
		}
	}
	return &framing.ProtocolError{
		Code: framing.ErrorUnexpectedMessage,
		Text: fmt.Sprintf("%v came where %v was expected", envelope.Opcode, want),
	}
}

// write sends a message. ctx bounds the wait for its turn, not the write itself: a partly written frame
// cannot be taken back, so a failed write ends the connection.
func (c *ControlStream) write(ctx context.Context, op framing.Opcode, message proto.Message, nonce uint64, reply bool) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return fmt.Errorf("waiting to send %v: %w", op, context.Cause(ctx))
	}
	frame, err := c.sealer.Seal(op, message, nonce, reply)
	if err != nil {
		return err
	}
	c.Stream.SetWriteDeadline(time.Now().Add(c.writeTimeout))
	if _, err := c.Stream.Write(frame); err != nil {
		c.Stream.CancelWrite(quic.StreamErrorCode(framing.ErrorInternal))
		c.Conn.CloseWithError(quic.ApplicationErrorCode(closeCode(err)), "the control stream is not read")
		return fmt.Errorf("writing %v: %w", op, err)
	}
	return nil
}
