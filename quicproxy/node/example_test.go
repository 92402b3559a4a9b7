package node_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"

	"apquic/certs"
	"apquic/quicproxy/node"
	"apquic/quicproxy/server"
)

// A web server on a Raspberry Pi that needs no local port: its listener is a public one on the server.
func ExampleNode_Listen() {
	server, address, stopServer := serverForExample()
	defer stopServer()

	key, err := certs.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	node, err := node.New(node.Config{Key: key, Server: server, Address: address})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { node.Run(ctx) })

	listener, err := node.Listen(ctx, "web")
	if err != nil {
		log.Fatal(err)
	}
	running.Go(func() {
		http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "hello from behind the NAT")
		}))
	})

	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	fmt.Println(string(body), err)

	listener.Close()
	stop()
	running.Wait()
	// Output: hello from behind the NAT <nil>
}

// serverForExample runs a server on loopback.
func serverForExample() (id certs.NodeID, address string, stop func()) {
	key, err := certs.GenerateKey()
	if err != nil {
		log.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	// Ports that are in use by another program are skipped.
	server, err := server.New(server.Config{Key: key, PacketConn: socket, PublicHost: "127.0.0.1"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.Run(ctx) })
	return key.ID(), socket.LocalAddr().String(), func() {
		cancel()
		running.Wait()
	}
}
