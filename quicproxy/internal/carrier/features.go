package carrier

import (
	"time"

	"apquic/framing"
)

// Features returns the optional parts of the protocol that this version supports, as node or server. Relays
// can resume if they may outlive a connection.
func Features(resumeTime time.Duration) framing.Features {
	features := framing.FeatureSet(
		framing.FeatureLanes, framing.FeatureProbes, framing.FeatureFlows, framing.FeatureDomains,
		framing.FeaturePrivate, framing.FeatureGroups, framing.FeatureVisitors, framing.FeatureCanaries)
	if resumeTime > 0 {
		features |= framing.FeatureSet(framing.FeatureMovingRelays)
	}
	return features
}
