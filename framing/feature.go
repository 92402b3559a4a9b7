package framing

import (
	"fmt"
	"slices"
)

// Feature is an optional part of the protocol (docs/protocol.md section 10). Hello and Welcome list those
// that a side has; those that both list are in use on the connection.
type Feature uint32

// Features are numbered up to maxFeature; higher numbers belong to other versions of the program, or to
// experiments.
const (
	FeatureMovingRelays Feature = 1
	FeatureLanes        Feature = 2
	FeatureProbes       Feature = 3
	FeatureFlows        Feature = 4
	FeatureDomains      Feature = 5
	FeaturePrivate      Feature = 6
	FeatureGroups       Feature = 7
	FeatureVisitors     Feature = 8
	FeatureCanaries     Feature = 9
)

var featureNames = map[Feature]string{
	FeatureMovingRelays: "moving relays", FeatureLanes: "lanes", FeatureProbes: "probes",
	FeatureFlows: "flows", FeatureDomains: "domains",
	FeaturePrivate: "private services", FeatureGroups: "groups", FeatureVisitors: "visitor rules", FeatureCanaries: "canaries",
}

func (f Feature) String() string {
	if name, ok := featureNames[f]; ok {
		return name
	}
	return fmt.Sprintf("feature %d", uint32(f))
}

const (
	maxFeature = 63
	// maxFeatures is how many numbers in a message are read.
	maxFeatures = 64
)

// Features is a set of features.
type Features uint64

// NewFeatures makes a set from the list in a message. Unknown numbers are left out, and so is anything after
// the first 64.
func NewFeatures(numbers []uint32) (set Features) {
	for _, number := range numbers[:min(len(numbers), maxFeatures)] {
		if _, known := featureNames[Feature(number)]; known && number <= maxFeature {
			set |= 1 << number
		}
	}
	return set
}

// FeatureSet makes a set of features.
func FeatureSet(features ...Feature) (set Features) {
	for _, f := range features {
		set |= 1 << f
	}
	return set
}

// Has reports whether f is in the set.
func (s Features) Has(f Feature) bool { return f <= maxFeature && s&(1<<f) != 0 }

// Numbers is the set as the list in a message.
func (s Features) Numbers() (numbers []uint32) {
	for f := range featureNames {
		if s.Has(f) {
			numbers = append(numbers, uint32(f))
		}
	}
	slices.Sort(numbers)
	return numbers
}

func (s Features) String() string {
	var names []string
	for _, number := range s.Numbers() {
		names = append(names, Feature(number).String())
	}
	return fmt.Sprint(names)
}
