package request

import (
	"errors"
	"log/slog"

	"google.golang.org/protobuf/proto"

	"apquic/framing"
	"apquic/quicproxy/internal/conn"
	"apquic/quicproxy/server/internal/failure"
)

// Answer decodes a request into what is empty, does what it asks for, and sends the outcome.
func Answer[Q, A proto.Message](control *conn.ControlStream, log *slog.Logger, envelope framing.Envelope, empty Q, op framing.Opcode, do func(Q) (A, error)) error {
	if err := envelope.Decode(empty); err != nil {
		return err
	}
	response, err := do(empty)
	if err != nil {
		attributes := []any{"request", envelope.Opcode, "err", err}
		if cause := errors.Unwrap(err); cause != nil {
			attributes = append(attributes, "cause", cause)
		}
		log.Warn("request refused", attributes...)
		return control.Reply(envelope, framing.OpFailure, failure.Message(err))
	}
	return control.Reply(envelope, op, response)
}
