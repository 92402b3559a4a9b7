// Importer is a program of another module: a server, a node that offers an echo service, and one client of
// it. .ci/importable builds and runs it against a copy of this module under a path of its own.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"apquic/certs"
	"apquic/quicproxy/node"
	"apquic/quicproxy/server"
)

func main() {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()

	serverKey, err := certs.GenerateKey()
	if err != nil {
		return err
	}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	theServer, err := server.New(server.Config{Key: serverKey, PacketConn: socket, PublicHost: "127.0.0.1"})
	if err != nil {
		return err
	}
	running.Go(func() { theServer.Run(ctx) })

	nodeKey, err := certs.GenerateKey()
	if err != nil {
		return err
	}
	theNode, err := node.New(node.Config{
		Key: nodeKey, Server: serverKey.ID(), Address: socket.LocalAddr().String(),
	})
	if err != nil {
		return err
	}
	running.Go(func() { theNode.Run(ctx) })

	listener, err := theNode.Listen(ctx, "echo")
	if err != nil {
		return err
	}
	defer listener.Close()
	running.Go(func() { echoOnce(listener) })
	return ask(listener.Addr().String())
}

func echoOnce(listener net.Listener) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	io.Copy(conn, conn)
}

// ask sends a line to the public address and expects it back.
func ask(address string) error {
	const line = "from another module"
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, line); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if string(answer) != line {
		return fmt.Errorf("the echo of %q is %q", line, answer)
	}
	fmt.Println("echo through", address)
	return nil
}
