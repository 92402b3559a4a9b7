package framing

import (
	"fmt"
	"slices"
)

// Feature is an optional part of the protocol (docs/protocol.md section 10). Hello and Welcome list those that a side
// has; what both list is in use on the connection.
type Feature uint32

// They are numbered up to maxFeature; higher numbers are of other versions of the program, or of experiments.
const (
	FeatureMovingRelays Feature = 1
	FeatureLanes        Feature = 2
	FeatureProbes       Feature = 3
)

var featureNames = map[Feature]string{
	FeatureMovingRelays: "moving relays", FeatureLanes: "lanes", FeatureProbes: "probes",
}

func (f Feature) String() string {
	if name, ok := featureNames[f]; ok {
		return name
	}
	return fmt.Sprintf("feature %d", uint32(f))
}

const (
	maxFeature = 63
	// maxFeatures is how many numbers of a message are looked at.
	maxFeatures = 64
)

// Features is a set of features.
type Features uint64

// NewFeatures makes a set of what a message lists. Numbers that are not known are left out, and so is what comes after
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

// Numbers is the set as a message lists it.
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
