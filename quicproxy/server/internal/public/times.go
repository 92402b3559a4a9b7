package public

import "time"

// SetTimes sets Config.Park and Config.FlowIdle, for clients and flows from now on.
func (s *Listeners) SetTimes(park, flowIdle time.Duration) {
	s.park.Store(int64(max(park, 0)))
	s.flowIdle.Store(int64(flowIdle))
}

// Park is how long a client waits for a node that is away; 0: not at all.
func (s *Listeners) Park() time.Duration { return time.Duration(s.park.Load()) }

// FlowIdle is how long a flow over which nothing passes is kept.
func (s *Listeners) FlowIdle() time.Duration { return time.Duration(s.flowIdle.Load()) }
