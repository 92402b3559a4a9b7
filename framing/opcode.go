package framing

import "fmt"

// Opcode says which message is in an envelope (docs/protocol.md section 5).
type Opcode uint32

// The values below 1000 are those of the PROXY protocol.
const (
	OpKeepalive         Opcode = 2
	OpKeepaliveResponse Opcode = 3
	OpProxyResponse     Opcode = 9
	OpProxyRequest      Opcode = 15
	OpFailure           Opcode = 1000
	OpRelease           Opcode = 1001
	OpReleased          Opcode = 1002
	OpDrain             Opcode = 1003
	OpHello             Opcode = 1004
	OpWelcome           Opcode = 1005
	OpReplaced          Opcode = 1006
	OpDrained           Opcode = 1007
	OpProbeRequest      Opcode = 1008
	OpProbeResponse     Opcode = 1009
	OpProbeSend         Opcode = 1010
	OpProbeSent         Opcode = 1011
	OpLanes             Opcode = 1016
	OpProgress          Opcode = 1017
	OpConnect           Opcode = 1020
	OpConnected         Opcode = 1021
	OpVisitorsRequest   Opcode = 1024
	OpVisitorsResponse  Opcode = 1025
)

var opcodeNames = map[Opcode]string{
	OpKeepalive: "Keepalive", OpKeepaliveResponse: "KeepaliveResponse",
	OpProxyRequest: "ProxyRequest", OpProxyResponse: "ProxyResponse",
	OpFailure: "Failure", OpRelease: "Release", OpReleased: "Released", OpDrain: "Drain", OpDrained: "Drained",
	OpHello: "Hello", OpWelcome: "Welcome", OpReplaced: "Replaced", OpLanes: "Lanes", OpProgress: "Progress",
	OpProbeRequest: "ProbeRequest", OpProbeResponse: "ProbeResponse", OpProbeSend: "ProbeSend", OpProbeSent: "ProbeSent",
	OpConnect: "Connect", OpConnected: "Connected",
	OpVisitorsRequest: "VisitorsRequest", OpVisitorsResponse: "VisitorsResponse",
}

// Kind is the purpose of a message: a request expects an answer, a reply is one, news is neither.
type Kind byte

// KindUnknown is that of an unknown opcode.
const (
	KindUnknown Kind = iota
	KindRequest
	KindReply
	KindNews
)

// Kind is that of the message that the opcode stands for.
func (o Opcode) Kind() Kind {
	switch o {
	case OpKeepalive, OpProxyRequest, OpRelease, OpDrain, OpHello, OpProbeRequest, OpProbeSend, OpConnect, OpVisitorsRequest:
		return KindRequest
	case OpReplaced, OpLanes, OpProgress:
		return KindNews
	}
	if _, known := opcodeNames[o]; known {
		return KindReply
	}
	return KindUnknown
}

func (o Opcode) String() string {
	if name, ok := opcodeNames[o]; ok {
		return name
	}
	return fmt.Sprintf("opcode %d", uint32(o))
}
