package main

import (
	"cmp"
	"context"
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

// busiest is what top tells programs: services and nodes, the busiest first.
type busiest struct {
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

// sample is all counters at one time.
type sample struct {
	at       time.Time
	services []admin.Service
	nodes    []admin.Node
}

func takeSample(ctx context.Context, operations admin.Operations) (s sample, err error) {
	status, err := operations.Status(ctx)
	if err != nil {
		return s, err
	}
	s.services, s.at = status.Services, time.Now()
	s.nodes, err = operations.ListNodes(ctx)
	return s, err
}

// top shows who moves most bytes, by two looks at the counters.
func top(c *call, o *options) error {
	var before sample
	return show(c, o, func(ctx context.Context, operations admin.Operations) (any, [][]string, error) {
		var err error
		if before.at.IsZero() {
			if before, err = takeSample(ctx, operations); err != nil {
				return nil, nil, err
			}
			pause(ctx, 2*twice)
		}
		now, err := takeSample(ctx, operations)
		if err != nil {
			return nil, nil, err
		}
		b := compare(before, now)
		before = now
		return b, b.rows(), nil
	})
}

// compare returns what has moved between two samples.
func compare(before, now sample) busiest {
	type key struct {
		node    certs.NodeID
		service string
	}
	services, nodes, passed := make(map[key]admin.Service), make(map[certs.NodeID]admin.Node), now.at.Sub(before.at)
	for _, s := range before.services {
		services[key{s.Node, s.Service}] = s
	}
	for _, n := range before.nodes {
		nodes[n.ID] = n
	}
	b := busiest{Seconds: passed.Seconds(), Services: []busyService{}, Nodes: []busyNode{}}
	for _, s := range now.services {
		was, known := services[key{s.Node, s.Service}]
		busy := busyService{Node: s.Node, Name: s.Name, Service: s.Service, Connections: s.Connections + s.Flows, shown: [2]string{ownerOf(s), publicOf(s)}}
		if known {
			busy.In, busy.Out = table.Rate(was.In, s.In, passed), table.Rate(was.Out, s.Out, passed)
		}
		if busy.In+busy.Out > 0 || busy.Connections > 0 {
			b.Services = append(b.Services, busy)
		}
	}
	for _, n := range now.nodes {
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

// rows is what top shows to people.
func (b busiest) rows() [][]string {
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
