package features

import "math"

// melBank holds the triangles that sum up power spectra to mels. Each covers few bins, so only those are kept.
type melBank struct {
	spans   []int32   // first bin and number of bins of each mel
	weights []float32 // of the bins of all mels
}

// newMelBank follows torchaudio's melscale_fbanks: triangles between Mels+2 points that lie evenly on the mel scale,
// linear in hertz; Slaney's are divided by half their width.
func newMelBank(c Config) *melBank {
	points := make([]float64, c.Mels+2)
	low, high := c.Scale.mel(c.MinHz), c.Scale.mel(c.MaxHz)
	for i := range points {
		points[i] = c.Scale.hertz(low + (high-low)*float64(i)/float64(c.Mels+1))
	}
	b := &melBank{}
	for m := range c.Mels {
		left, centre, right := points[m], points[m+1], points[m+2]
		height := 1.0
		if c.Scale == Slaney {
			height = 2 / (right - left)
		}
		var first, bins int32
		spacing := float64(c.Rate) / float64(c.FFT)
		for bin := int(left / spacing); bin <= c.FFT/2 && float64(bin)*spacing < right; bin++ {
			hz := float64(bin) * spacing
			w := height * min((hz-left)/(centre-left), (right-hz)/(right-centre))
			if w <= 0 {
				continue
			}
			if bins == 0 {
				first = int32(bin)
			}
			bins++
			b.weights = append(b.weights, float32(w))
		}
		b.spans = append(b.spans, first, bins)
	}
	return b
}

// The Slaney scale is linear up to 1 kHz, which are 15 mels, and logarithmic above with 27 mels per factor of 6.4.
const (
	slaneyHertz = 200.0 / 3 // per mel in the linear part
	slaneyBreak = 1000.0    // hertz
)

var slaneyStep = math.Log(6.4) / 27

func (s Scale) mel(hz float64) float64 {
	switch {
	case s == HTK:
		return 2595 * math.Log10(1+hz/700)
	case hz < slaneyBreak:
		return hz / slaneyHertz
	}
	return slaneyBreak/slaneyHertz + math.Log(hz/slaneyBreak)/slaneyStep
}

func (s Scale) hertz(mel float64) float64 {
	switch {
	case s == HTK:
		return 700 * (math.Pow(10, mel/2595) - 1)
	case mel < slaneyBreak/slaneyHertz:
		return mel * slaneyHertz
	}
	return slaneyBreak * math.Exp(slaneyStep*(mel-slaneyBreak/slaneyHertz))
}

// centre returns the frequency at the middle of a mel's bins.
func (b *melBank) centre(mel int, c Config) float64 {
	first, bins := b.spans[2*mel], b.spans[2*mel+1]
	return (float64(first) + float64(bins-1)/2) * float64(c.Rate) / float64(c.FFT)
}
