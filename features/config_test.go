package features

import (
	"errors"
	"math"
	"testing"
)

func TestValidateRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"rate 0":                     func(c *Config) { c.Rate = 0 },
		"rate beyond reason":         func(c *Config) { c.Rate = math.MaxInt },
		"FFT not a power of two":     func(c *Config) { c.FFT = 500 },
		"FFT too short":              func(c *Config) { c.FFT, c.Window, c.Mels = 8, 8, 1 },
		"FFT of gigabytes":           func(c *Config) { c.FFT = 1 << 30 },
		"negative FFT":               func(c *Config) { c.FFT = math.MinInt },
		"window longer than the FFT": func(c *Config) { c.Window = 513 },
		"window of 1":                func(c *Config) { c.Window = 1 },
		"hop 0":                      func(c *Config) { c.Hop = 0 },
		"hop longer than the window": func(c *Config) { c.Hop = 481 },
		"transforms without end":     func(c *Config) { c.FFT, c.Window, c.Hop = 1<<15, 1<<15, 1 },
		"values without end":         func(c *Config) { c.FFT, c.Window, c.Hop, c.Mels = 256, 256, 1, 40 },
		"no mels":                    func(c *Config) { c.Mels = 0 },
		"mels without end":           func(c *Config) { c.Mels = math.MaxInt },
		"a mel between two bins":     func(c *Config) { c.Scale, c.Mels = HTK, 200 },
		"negative MinHz":             func(c *Config) { c.MinHz = -1 },
		"NaN MinHz":                  func(c *Config) { c.MinHz = math.NaN() },
		"empty band":                 func(c *Config) { c.MinHz = c.MaxHz },
		"MaxHz above Nyquist":        func(c *Config) { c.MaxHz = 8001 },
		"floor 0":                    func(c *Config) { c.Floor = 0 },
		"NaN floor":                  func(c *Config) { c.Floor = math.NaN() },
		"unknown scale":              func(c *Config) { c.Scale = "bark" },
	} {
		c := Default()
		spoil(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: error is %v, want ErrConfig", name, err)
		}
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, c := range configs() {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFrames(t *testing.T) {
	c := Default()
	for samples, want := range map[int]int{0: 1, 1: 1, 159: 1, 160: 2, 16000: 101} {
		if got := c.Frames(samples); got != want {
			t.Errorf("%d samples give %d frames, want %d", samples, got, want)
		}
	}
	if got := c.FramesPerSecond(); got != 100 {
		t.Errorf("%g frames a second, want 100", got)
	}
}
