package carrier

import (
	"time"

	"apquic/framing"
)

// Features are the optional parts of the protocol that a program of this version has, node or server. Relays move where
// they may outlive a connection.
func Features(resumeTime time.Duration) framing.Features {
	features := framing.FeatureSet(framing.FeatureLanes, framing.FeatureProbes)
	if resumeTime > 0 {
		features |= framing.FeatureSet(framing.FeatureMovingRelays)
	}
	return features
}
