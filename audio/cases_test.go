package audio

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// cases returns the files of testdata/cases, by name.
func cases(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "cases", "*"))
	if err != nil || len(paths) != 16 {
		t.Fatalf("%d cases, error %v", len(paths), err)
	}
	files := map[string][]byte{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(path)] = content
	}
	return files
}

// TestCases reads the files of testdata/cases, one of each kind of fault in other programs' reports.
func TestCases(t *testing.T) {
	left, err := ReadFile(filepath.Join("..", "examples", "left.wav"), 8000)
	if err != nil {
		t.Fatal(err)
	}
	const convert = "; convert it with ffmpeg -i in.wav out.wav"
	wants := map[string]struct {
		samples int
		warning string
		err     string
	}{
		"01_wav_id3v2_tag_in_front.wav": {samples: 8000},
		"02_wav_data_size_too_small_preallocated_or_wrapped_4GiB.wav": {samples: 8000,
			warning: "data chunk says 1000 bytes, the sound goes on behind them, to 1.00 s"},
		"04_rf64_data32_zero_list_behind_read_as_sound.wav": {samples: 8000},
		"08_pcm_12bit_in_2_bytes.wav":                       {samples: 8000},
		"14_ambisonic_b_format_guid.wav":                    {samples: 8000},
		"16_two_data_chunks.wav": {samples: 8000,
			warning: "several data chunks, read as one sound"},
		"18_codec_unnamed_aac_adts_1600.wav": {
			err: "sound format not supported: AAC (ADTS) in a WAV file" + convert},
		"18_codec_unnamed_opus_704f.wav": {err: "sound format not supported: Opus in a WAV file" + convert},
	}
	for name, c := range wants {
		path := filepath.Join("testdata", "cases", name)
		clip, err := ReadFile(path, 0)
		if c.err != "" {
			if err == nil || err.Error() != path+": "+c.err {
				t.Errorf("%v\nwant %s", err, c.err)
			}
			continue
		}
		if err != nil || clip.Rate != 8000 || len(clip.Samples) != c.samples || clip.Warning != c.warning {
			t.Errorf("%s: %d samples of %d Hz, error %v, warning %q", name, len(clip.Samples), clip.Rate, err, clip.Warning)
			continue
		}
		for i, v := range clip.Samples {
			if math.Abs(float64(v-left.Samples[i])) > 0.01 {
				t.Errorf("%s: sample %d is %g, the example's is %g", name, i, v, left.Samples[i])
				break
			}
		}
	}
}
