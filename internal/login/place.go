package login

import "strings"

// Place is which end of a tunnel asks visitors. Both may, one after the other, so each has cookies and paths of its own;
// the node, which comes last, removes the cookies of both.
type Place string

// Who asks.
const (
	AtNode   Place = ""
	AtServer Place = "-server"
)

// own is what the cookie or path of a node is called here: __Host-apquic-server-session, /.apquic-server/callback.
func (p Place) own(name string) string { return strings.Replace(name, "apquic", "apquic"+string(p), 1) }
