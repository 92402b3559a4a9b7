package quicproxy_test

import (
	"fmt"
	"time"
)

// disturb does something to the network, the connections or the processes.
func (h *history) disturb() {
	if h.IntN(6) == 0 {
		h.disturbProcess()
		return
	}
	h.disturbNetwork()
}

// disturbNetwork does only what must not reset anything.
func (h *history) disturbNetwork() {
	defer func() { h.disturbed = time.Now() }()
	switch h.IntN(11) {
	case 0, 1:
		which := h.IntN(4)
		h.step("kill connections (%d)", which)
		endConnections(h.server.server, func(i int) bool { return which == 0 || i == which-1 })
	case 2, 3:
		d := h.upTo(35)
		h.step("cut the home off for %v", d)
		h.nat.Cut()
		time.Sleep(d)
		h.nat.Restore()
	case 4:
		d := h.upTo(34)
		h.step("cut the server off for %v", d)
		h.machine.Cut()
		time.Sleep(d)
		h.machine.Restore()
	case 5:
		h.step("rebind")
		h.nat.Rebind()
	case 6:
		h.moves++
		ip := fmt.Sprintf("192.0.2.%d", 1+h.moves)
		h.step("the home gets the address %s", ip)
		h.nat.SetPublicIP(ip)
	case 7:
		loss := []float64{0, 0.005, 0.02, 0.1}[h.IntN(4)]
		h.step("loss %v", loss)
		h.net.SetLoss(loss, h.Uint64())
	case 8:
		h.step("lanes")
		h.node().node.Inspect().WantLanes()
	case 9:
		h.step("lanes that are idle have the time to close")
		time.Sleep(laneIdle)
	case 10:
		n := h.IntN(3)
		h.step("socket %d goes dead", n)
		h.node().sockets.kill(n)
	}
}

// disturbProcess ends a process and starts another one.
func (h *history) disturbProcess() {
	pause := h.upTo(34)
	switch h.IntN(5) {
	case 0:
		h.step("the server crashes, and is back after %v", pause)
		began := time.Now()
		h.machine.Cut()
		h.server.now()
		h.server.stop()
		h.machine.Restore()
		time.Sleep(pause)
		h.startServerProcess()
		h.cause(cause{what: "crash of the server", from: began, until: time.Now()})
	case 1:
		h.step("the server drains, and is back after %v", pause)
		h.drain(h.server, pause, h.startServerProcess, true)
	case 2:
		h.step("the node crashes, and is back after %v", pause)
		began := time.Now()
		h.nat.Cut()
		h.node().now()
		h.stopNode(h.node())
		h.nat.Restore()
		time.Sleep(pause)
		// What the node sent last is still on its way, and says that it may have heard of who came meanwhile.
		h.cause(cause{what: "crash of the node", from: began, until: time.Now().Add(h.setting.latency)})
		h.startNodeProcess()
	case 3:
		h.step("the node drains, and is back after %v", pause)
		h.drain(h.node(), pause, h.startNodeProcess, false)
	case 4:
		h.step("another node takes over")
		old, began := h.node(), time.Now()
		h.startNodeProcess()
		time.Sleep(pause)
		h.stopNode(old)
		h.cause(cause{what: twoNodes, from: began, until: time.Now()})
	}
	h.step("it is back")
}

// drain ends a process gracefully, and starts the next one. Relays may run until the limit, unless they are
// disturbed: a stopping process does not reconnect, and accepts no new connections.
func (h *history) drain(p *program, pause time.Duration, start func(), server bool) {
	began, disturbed := time.Now(), h.IntN(3) == 0
	settled := began.Sub(h.disturbed) > settling
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.stop()
		p.listening.Wait()
	}()
	if disturbed {
		time.Sleep(h.upTo(33))
		h.disturbNetwork()
	}
	<-stopped
	h.step("it has ended")
	time.Sleep(pause)
	start()
	from := began.Add(h.setting.drain)
	if disturbed || !settled {
		from = began
	}
	h.cause(cause{what: "end of a drain", from: from, until: time.Now()})
	if server {
		h.cause(cause{what: "drain of the server", from: began, until: time.Now(), unasked: true})
	}
}

func (h *history) stopNode(p *program) {
	p.stop()
	p.listening.Wait()
}

// calm ends all disturbances.
func (h *history) calm() {
	h.step("calm")
	h.net.SetLoss(0, 0)
	h.net.SetLatency(10 * time.Millisecond)
}
