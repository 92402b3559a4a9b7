package e2e

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// udpUpstream starts a service over UDP that answers with the port of the sender, its IP address, and what it
// sent.
func udpUpstream(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: udpupstream VARIABLE")
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	ts.Check(err)
	w := worldOf(ts)
	w.services = append(w.services, socket)
	go func() {
		for buffer := make([]byte, 1<<16); ; {
			n, from, err := socket.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			socket.WriteToUDPAddrPort(append(fmt.Appendf(nil, "%d ", from.Port()), buffer[:n]...), from)
		}
	}()
	ts.Setenv(args[0], socket.LocalAddr().String())
	ts.Setenv(args[0]+"_PORT", strconv.Itoa(socket.LocalAddr().(*net.UDPAddr).Port))
}

// udpAsk sends a text, or so many bytes, from the socket of a client, which it opens if there is none, until
// something comes back, and prints how many bytes that were, with the port that the service saw.
func udpAsk(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: [!] udpask CLIENT ADDRESS SIZE")
	}
	size, err := strconv.Atoi(args[2])
	ts.Check(err)
	w := worldOf(ts)
	client := w.udpClients[args[0]]
	if client == nil {
		client, err = net.Dial("udp4", args[1])
		ts.Check(err)
		w.services = append(w.services, client)
		if w.udpClients == nil {
			w.udpClients = make(map[string]net.Conn)
		}
		w.udpClients[args[0]] = client
	}
	payload, buffer := bytes.Repeat([]byte("x"), size), make([]byte, 1<<16)
	for begin, wait := time.Now(), time.Second; time.Since(begin) < maxWait; {
		client.Write(payload) // an error is that of an earlier datagram: the server may be away
		client.SetReadDeadline(time.Now().Add(wait))
		n, err := client.Read(buffer)
		if err != nil {
			if neg {
				return
			}
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if neg {
			ts.Fatalf("an answer of %d bytes", n)
		}
		port, text, _ := strings.Cut(string(buffer[:n]), " ")
		fmt.Fprintf(ts.Stdout(), "%d bytes, asked from %s\n", len(text), port)
		return
	}
	ts.Fatalf("no answer")
}
