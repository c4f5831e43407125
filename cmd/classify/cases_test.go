package main

import (
	"path/filepath"
	"slices"
	"testing"
)

// TestCases classifies the files of audio/testdata/cases, one of each kind of fault in other programs' reports: the
// labels of what is found, the status, and all that is printed on standard error.
func TestCases(t *testing.T) {
	const convert = "; convert it with ffmpeg -i in.wav out.wav"
	for name, c := range map[string]struct {
		labels       []string
		warning, err string
	}{
		"01_wav_id3v2_tag_in_front.wav": {labels: []string{"left"}},
		"02_wav_data_size_too_small_preallocated_or_wrapped_4GiB.wav": {labels: []string{"left"},
			warning: "data chunk says 1000 bytes, the sound goes on behind them, to 1.00 s"},
		"04_rf64_data32_zero_list_behind_read_as_sound.wav": {labels: []string{"left"}},
		"08_pcm_12bit_in_2_bytes.wav":                       {labels: []string{"left"}},
		"05_s24le_right_justified_bits24_align4.wav": {labels: []string{"left"},
			warning: "the highest of four bytes holds only the sign: read as 24 bits in the low three (s24in32le)"},
		"06_s24le_right_justified_bits32_arecord_1_2_14.wav": {labels: []string{"left"},
			warning: "the highest of four bytes holds only the sign: read as 24 bits in the low three (s24in32le)"},
		"10_float32_in_int16_scale.wav": {labels: []string{"left"},
			warning: "float samples up to 16076, taken as 16-bit scale"},
		"12_float32_tagged_as_pcm32.wav": {labels: []string{"left"},
			warning: "the samples look like 32-bit float, not integers as stated: read as float"},
		"15_half_a_frame_inserted_in_the_middle.wav": {labels: []string{"left", "stop", "yes"},
			warning: "sample bytes are shifted by 1 from about 1.4 s on, as when bytes are inserted or lost: " +
				"read in step again from 1.4 s on; sample bytes are shifted by 1 from about 2.6 s on, " +
				"as when bytes are inserted or lost: read in step again from 2.6 s on"},
		"14_ambisonic_b_format_guid.wav": {labels: []string{"left"}},
		"16_two_data_chunks.wav": {labels: []string{"left"},
			warning: "several data chunks, read as one sound"},
		"18_codec_unnamed_aac_adts_1600.wav": {
			err: "sound format not supported: AAC (ADTS) in a WAV file" + convert},
		"18_codec_unnamed_opus_704f.wav": {
			err: "sound format not supported: Opus in a WAV file" + convert},
		"20_flac_unknown_length_id3v1_behind.flac": {labels: []string{"left"}},
		"22_flac_total_samples_too_small.flac": {labels: []string{"left"},
			warning: "header says 8000 samples, 16000 follow it"},
		"24_flac_last_frame_damaged.flac": {labels: []string{"left", "stop"},
			warning: "the frame at 5.38 s is damaged or cut short, and none follows"},
	} {
		path := filepath.Join("..", "..", "audio", "testdata", "cases", name)
		status, stdout, stderr := classify(t, nil, "--format", "ndjson", path)
		wantStatus, want := statusOK, ""
		switch {
		case c.err != "":
			wantStatus, want = statusFailed, "classify: "+path+": "+c.err+"\n"
		case c.warning != "":
			want = "classify: " + path + ": warning: " + c.warning + "\n"
		}
		expect(t, name+": status", status, wantStatus)
		expect(t, name+": stderr", stderr, want)
		var labels []string
		for _, e := range parse(t, stdout) {
			switch {
			case e.Event == "detection":
				labels = append(labels, e.Label)
			case e.Event == "result" && e.Events == 0:
				labels = append(labels, e.Labels[0].Label)
			}
		}
		if !slices.Equal(labels, c.labels) {
			t.Errorf("%s: %q, want %q", name, labels, c.labels)
		}
	}
}
