package server_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"sync"

	"apquic/certs"
	"apquic/lease"
	"apquic/quicproxy/server"
)

// A server in a program of your own: here for any node, on loopback, with leases in memory.
func ExampleServer() {
	key, err := certs.GenerateKey() // certs.LoadOrCreateKey keeps one in a file
	if err != nil {
		log.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ports, err := lease.ParsePortRange("20000-22000")
	if err != nil {
		log.Fatal(err)
	}
	server, err := server.New(server.Config{
		Key: key, PacketConn: socket, Ports: ports, PublicHost: "127.0.0.1",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			log.Print(err)
		}
	})

	fmt.Println("nodes connected:", len(server.Status().Sessions))
	stop()
	running.Wait()
	// Output: nodes connected: 0
}
