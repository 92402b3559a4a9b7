package accesslog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"apquic/certs"
	"apquic/quicproxy/access"
)

// Formats of a line.
const (
	JSON     = "json"
	Combined = "combined"
)

// format appends the line of a relay.
type format func(b []byte, r access.Relay) []byte

var formats = map[string]format{JSON: appendJSON, Combined: appendCombined}

// line is a relay in JSON.
type line struct {
	Time      time.Time    `json:"time"` // when it ended
	Node      certs.NodeID `json:"node"`
	Name      string       `json:"name,omitempty"`
	Service   string       `json:"service"`
	Port      uint16       `json:"port,omitempty"`
	Domain    string       `json:"domain,omitempty"`
	Client    string       `json:"client"`
	In        uint64       `json:"bytesIn"`
	Out       uint64       `json:"bytesOut"`
	Seconds   float64      `json:"seconds"`
	FirstByte float64      `json:"firstByteSeconds,omitempty"`
	Resumed   uint64       `json:"resumed,omitempty"`
	End       string       `json:"end"`
}

func appendJSON(b []byte, r access.Relay) []byte {
	text, err := json.Marshal(line{
		Time: r.Begun.Add(r.Lasted).UTC(), Node: r.Node, Name: r.Name, Service: r.Service, Port: r.Port, Domain: r.Domain, Client: r.Client,
		In: r.In, Out: r.Out, Seconds: seconds(r.Lasted), FirstByte: seconds(r.FirstByte), Resumed: r.Resumed, End: r.End,
	})
	if err != nil {
		return b // no field can cause that
	}
	return append(append(b, text...), '\n')
}

// seconds has microseconds: more is noise.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

// statuses are what programs that read logs of web servers make of the reasons; others are 500.
var statuses = map[string]int{"closed": 200, "client": 499, "refused": 502, "node": 502, "away": 504, "memory": 503}

// appendCombined writes the line of a web server, as far as a connection has what belongs there, and more behind it.
func appendCombined(b []byte, r access.Relay) []byte {
	host, _, err := net.SplitHostPort(r.Client)
	if err != nil {
		host = r.Client
	}
	target := r.Service
	switch {
	case r.Domain != "":
		target = r.Domain + "/" + r.Service
	case r.Port != 0:
		target = ":" + strconv.Itoa(int(r.Port)) + "/" + r.Service
	}
	return fmt.Appendf(b, "%s - %s [%s] \"CONNECT %s TCP\" %d %d \"-\" \"-\" %d %.6f %.6f %s\n",
		escape(host), escape(cmp.Or(r.Name, r.Node.String())), r.Begun.UTC().Format("02/Jan/2006:15:04:05 -0700"), escape(target),
		cmp.Or(statuses[r.End], 500), r.Out, r.In, r.Lasted.Seconds(), r.FirstByte.Seconds(), escape(r.End))
}

// escape keeps a text that others chose within its field: what could end that, or the line, is written as \xHH.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"\[]`, c) >= 0 {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return cmp.Or(b.String(), "-")
}
