package framing

import "fmt"

// ErrorCode says why a connection was closed, a stream reset, or a request refused (docs/protocol.md section
// 7). The three uses share one number space.
type ErrorCode uint64

// Codes that end connections are 1 to 31, that refuse requests 32 to 63, that end relays 64 and up.
const (
	NoError                  ErrorCode = 0
	ErrorInternal            ErrorCode = 1
	ErrorMalformed           ErrorCode = 2
	ErrorTooLarge            ErrorCode = 3
	ErrorBadSignature        ErrorCode = 4
	ErrorBadNonce            ErrorCode = 5
	ErrorForeignKey          ErrorCode = 6
	ErrorWrongNetwork        ErrorCode = 7
	ErrorUnexpectedMessage   ErrorCode = 8
	ErrorUnknownOpcode       ErrorCode = 9
	ErrorNotAuthorized       ErrorCode = 16
	ErrorReplaced            ErrorCode = 17
	ErrorBusy                ErrorCode = 18
	ErrorShutdown            ErrorCode = 19
	ErrorKeepaliveTimeout    ErrorCode = 20
	ErrorSuperseded          ErrorCode = 21
	ErrorRangeFull           ErrorCode = 32
	ErrorPortBusy            ErrorCode = 33
	ErrorPortOutOfRange      ErrorCode = 34
	ErrorTooManyServices     ErrorCode = 35
	ErrorBadRequest          ErrorCode = 36
	ErrorStoreFailed         ErrorCode = 37
	ErrorDomainTaken         ErrorCode = 38
	ErrorBadDomain           ErrorCode = 39
	ErrorNoDomains           ErrorCode = 40
	ErrorNoTermination       ErrorCode = 43
	ErrorNotInGroup          ErrorCode = 44
	ErrorGroupElsewhere      ErrorCode = 45
	ErrorNoCountries         ErrorCode = 46
	ErrorLoginDemanded       ErrorCode = 47
	ErrorNoPrivateService    ErrorCode = 48
	ErrorNotAllowed          ErrorCode = 49
	ErrorRelayReset          ErrorCode = 64
	ErrorUpstreamRefused     ErrorCode = 65
	ErrorUpstreamUnreachable ErrorCode = 66
	ErrorUpstreamTimeout     ErrorCode = 67
	ErrorUnknownService      ErrorCode = 68
	ErrorBadHeader           ErrorCode = 69
	ErrorNodeBusy            ErrorCode = 70
	ErrorRelayShutdown       ErrorCode = 71
	ErrorRelayStalled        ErrorCode = 72
	ErrorRelayMoved          ErrorCode = 73
	ErrorUnknownRelay        ErrorCode = 74
	ErrorRelayStriped        ErrorCode = 75
)

var errorNames = map[ErrorCode]string{
	NoError: "no error", ErrorInternal: "internal error", ErrorMalformed: "malformed message",
	ErrorTooLarge: "message too large", ErrorBadSignature: "bad signature", ErrorBadNonce: "bad nonce",
	ErrorForeignKey: "foreign key", ErrorWrongNetwork: "wrong network", ErrorUnexpectedMessage: "unexpected message",
	ErrorUnknownOpcode: "unknown opcode", ErrorNotAuthorized: "not authorized", ErrorReplaced: "replaced",
	ErrorBusy: "busy", ErrorShutdown: "shutdown", ErrorKeepaliveTimeout: "timeout", ErrorSuperseded: "superseded", ErrorRangeFull: "range full",
	ErrorPortBusy: "port busy", ErrorPortOutOfRange: "port out of range", ErrorTooManyServices: "too many services",
	ErrorBadRequest: "bad request", ErrorStoreFailed: "store failed",
	ErrorDomainTaken: "domain taken", ErrorBadDomain: "bad domain", ErrorNoDomains: "no domains", ErrorNoTermination: "no termination of TLS",
	ErrorNotInGroup: "not in the group", ErrorGroupElsewhere: "group elsewhere", ErrorNoCountries: "no countries", ErrorLoginDemanded: "login demanded", ErrorNoPrivateService: "no private service", ErrorNotAllowed: "not allowed", ErrorRelayReset: "relay reset",
	ErrorUpstreamRefused: "upstream refused", ErrorUpstreamUnreachable: "upstream unreachable",
	ErrorUpstreamTimeout: "upstream timeout", ErrorUnknownService: "unknown service", ErrorBadHeader: "bad stream header",
	ErrorNodeBusy: "node busy", ErrorRelayShutdown: "relay shut down",
	ErrorRelayStalled: "relay stalled", ErrorRelayMoved: "relay moved", ErrorUnknownRelay: "unknown relay",
	ErrorRelayStriped: "relay striped",
}

func (c ErrorCode) String() string {
	if name, ok := errorNames[c]; ok {
		return name
	}
	return fmt.Sprintf("error code %d", uint64(c))
}

// ProtocolError says why a message is unacceptable. It ends the connection with its code.
type ProtocolError struct {
	Code ErrorCode
	Text string
}

func (e *ProtocolError) Error() string { return e.Text }

func protocolErrorf(code ErrorCode, format string, args ...any) error {
	return &ProtocolError{Code: code, Text: fmt.Sprintf(format, args...)}
}
