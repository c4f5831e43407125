package training

import (
	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/features"
)

// AugmentKind names a recipe of augmentation.
type AugmentKind string

// The recipes.
const (
	AugmentSpeech AugmentKind = "speech" // spoken words: speed, place, noise, level, rooms, microphones, masks
	AugmentLight  AugmentKind = "light"  // other sounds: place, level and masks
	AugmentPapers AugmentKind = "papers" // as R-PolyNets' authors vary spoken words: speed, place, level and noise
	AugmentNone   AugmentKind = "none"
)

// Augmentation returns a recipe's settings. The values of AugmentSpeech were found on the validation clips of Speech
// Commands.
func Augmentation(kind AugmentKind) (datasets.Augment, features.Mask) {
	switch kind {
	case AugmentSpeech:
		return datasets.Augment{
			MadeUp: 0.1, Speed: 0.15, Shift: 0.12, Noise: 0.6, SNR: [2]float64{3, 30}, Synthetic: 0.2, Gain: [2]float64{-20, 10},
			Channel: features.Acoustics{
				Room: 0.2, RoomSeconds: [2]float64{0.1, 0.6}, RoomLevel: [2]float64{0.02, 0.25},
				Filter: 0.4, Tilt: 6, Bumps: 3,
				Band: 0.1, BandLow: [2]float64{100, 400}, BandHigh: [2]float64{3000, 7000},
			},
		}, features.Mask{TimeMasks: 2, MaxTime: 10, FreqMasks: 2, MaxFreq: 5}
	case AugmentPapers:
		return datasets.Augment{
			Speed: 0.2, Shift: 0.25, Noise: 0.5, SNR: [2]float64{7, 30}, Gain: [2]float64{-3.1, 0.8},
		}, features.Mask{}
	case AugmentLight:
		return datasets.Augment{Shift: 0.1, Gain: [2]float64{-6, 6}},
			features.Mask{TimeMasks: 1, MaxTime: 12, FreqMasks: 1, MaxFreq: 6}
	}
	return datasets.Augment{}, features.Mask{}
}
