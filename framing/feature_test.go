package framing

import (
	"math"
	"slices"
	"testing"
)

func TestFeatures(t *testing.T) {
	t.Parallel()
	all := FeatureSet(FeatureMovingRelays, FeatureLanes, FeatureProbes, FeatureFlows, FeatureDomains, FeaturePrivate, FeatureGroups, FeatureVisitors, FeatureCanaries)
	far := make([]uint32, maxFeatures)
	for i := range far {
		far[i] = 1000 + uint32(i)
	}
	for _, test := range []struct {
		name    string
		numbers []uint32
		want    Features
	}{
		{"none", nil, 0},
		{"all", []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}, all},
		{"in any order, and twice", []uint32{3, 1, 6, 8, 5, 9, 7, 4, 3, 2, 1}, all},
		{"unknown ones", []uint32{0, 10, 62, 63, 64, 65, 1 << 31, math.MaxUint32, 2}, FeatureSet(FeatureLanes)},
		{"one that comes first of many", append([]uint32{2}, far...), FeatureSet(FeatureLanes)},
		{"one that comes too late", append(far, 2), 0},
	} {
		got := NewFeatures(test.numbers)
		if got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		if again := NewFeatures(got.Numbers()); again != got || !slices.IsSorted(got.Numbers()) {
			t.Errorf("%s: %v became %v", test.name, got, again)
		}
	}
	if all.Has(1<<6) || all.Has(math.MaxUint32) || all.Has(0) || !all.Has(FeatureProbes) {
		t.Error("a set has what is not in it")
	}
	if common := FeatureSet(FeatureLanes, FeatureProbes) & FeatureSet(FeatureMovingRelays, FeatureProbes); common != FeatureSet(FeatureProbes) {
		t.Errorf("both have %v", common)
	}
}

// FuzzFeatures: whatever a message lists makes a set of known features.
func FuzzFeatures(f *testing.F) {
	f.Add([]byte{1, 2, 3}, uint32(1<<31))
	f.Fuzz(func(t *testing.T, low []byte, high uint32) {
		numbers := []uint32{high}
		for _, b := range low {
			numbers = append(numbers, uint32(b))
		}
		set := NewFeatures(numbers)
		for _, number := range set.Numbers() {
			if featureNames[Feature(number)] == "" || !slices.Contains(numbers, number) {
				t.Fatalf("%v became %v", numbers, set)
			}
		}
	})
}
