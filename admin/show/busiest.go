package show

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"apquic/admin"
	"apquic/certs"
	"apquic/internal/table"
)

// topRows is how many services and nodes top shows.
const topRows = 10

// Busiest is what top tells programs: services and nodes, the Busiest first.
type Busiest struct {
	Seconds  float64       `json:"seconds"` // that were measured
	Services []busyService `json:"services"`
	Nodes    []busyNode    `json:"nodes"`
}

type busyService struct {
	In          uint64       `json:"bytesInPerSecond"`  // from visitors
	Out         uint64       `json:"bytesOutPerSecond"` // to visitors
	Node        certs.NodeID `json:"node,omitzero"`
	Name        string       `json:"name,omitempty"`
	Service     string       `json:"service"`
	Connections int          `json:"connections"`

	shown [2]string // who offers it, and where
}

type busyNode struct {
	Received uint64       `json:"bytesReceivedPerSecond"` // from the node, in QUIC packets
	Sent     uint64       `json:"bytesSentPerSecond"`
	Node     certs.NodeID `json:"node"`
	Name     string       `json:"name,omitempty"`
	RTT      float64      `json:"rttMilliseconds"`
	Relays   int          `json:"relays"`
}

// Sample is all counters at one time.
type Sample struct {
	At       time.Time
	Services []admin.Service
	Nodes    []admin.Node
}

// Compare returns what has moved between two samples.
func Compare(before, now Sample) Busiest {
	type key struct {
		node    certs.NodeID
		service string
	}
	services, nodes, passed := make(map[key]admin.Service), make(map[certs.NodeID]admin.Node), now.At.Sub(before.At)
	for _, s := range before.Services {
		services[key{s.Node, s.Service}] = s
	}
	for _, n := range before.Nodes {
		nodes[n.ID] = n
	}
	b := Busiest{Seconds: passed.Seconds(), Services: []busyService{}, Nodes: []busyNode{}}
	for _, s := range now.Services {
		was, known := services[key{s.Node, s.Service}]
		busy := busyService{Node: s.Node, Name: s.Name, Service: s.Service, Connections: s.Connections + s.Flows, shown: [2]string{ownerOf(s), publicOf(s)}}
		if known {
			busy.In, busy.Out = table.Rate(was.In, s.In, passed), table.Rate(was.Out, s.Out, passed)
		}
		if busy.In+busy.Out > 0 || busy.Connections > 0 {
			b.Services = append(b.Services, busy)
		}
	}
	for _, n := range now.Nodes {
		was, is := nodes[n.ID].Connection, n.Connection
		if is == nil || was == nil {
			continue
		}
		b.Nodes = append(b.Nodes, busyNode{
			Received: table.Rate(was.BytesReceived, is.BytesReceived, passed), Sent: table.Rate(was.BytesSent, is.BytesSent, passed),
			Node: n.ID, Name: n.Name, RTT: is.RTT, Relays: is.Relays,
		})
	}
	slices.SortStableFunc(b.Services, func(a, b busyService) int { return cmp.Compare(b.In+b.Out, a.In+a.Out) })
	slices.SortStableFunc(b.Nodes, func(a, b busyNode) int { return cmp.Compare(b.Received+b.Sent, a.Received+a.Sent) })
	return b
}

// Rows is what top shows to people.
func (b Busiest) Rows() [][]string {
	if len(b.Services)+len(b.Nodes) == 0 {
		return [][]string{{"No node is here, and nobody visits."}}
	}
	rows := [][]string{{"IN/S", "OUT/S", "CONNS", "NODE", "SERVICE", "PUBLIC"}}
	for _, s := range b.Services[:min(len(b.Services), topRows)] {
		rows = append(rows, []string{table.Bytes(s.In), table.Bytes(s.Out), strconv.Itoa(s.Connections), s.shown[0], s.Service, s.shown[1]})
	}
	rows = append(rows, nil, []string{"FROM/S", "TO/S", "CONNS", "NODE", "RTT"})
	for _, n := range b.Nodes[:min(len(b.Nodes), topRows)] {
		rows = append(rows, []string{table.Bytes(n.Received), table.Bytes(n.Sent), strconv.Itoa(n.Relays), shortName(n.Name, n.Node), fmt.Sprintf("%.3g ms", n.RTT)})
	}
	return rows
}
