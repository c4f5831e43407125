package audio

import (
	"bytes"
	"fmt"
)

// fileKind is a kind of file that people offer as sound and that is not decoded, known by the bytes at an offset.
type fileKind struct {
	offset    int
	magic     string
	name      string // with its article
	extension string // "" where ffmpeg finds no sound in it
	advice    string // instead of converting
}

const (
	unpack   = "unpack it"
	download = "the download brought a page instead of a sound"
)

// fileKinds are the kinds that are recognised. Of two magics that fit, the first one counts.
var fileKinds = []fileKind{
	{4, "ftypM4A", "an M4A file (AAC or ALAC)", "m4a", ""},
	{4, "ftypM4B", "an M4B file (AAC)", "m4b", ""},
	{4, "ftypqt", "a QuickTime file", "mov", ""},
	{4, "ftyp3g", "a 3GP file (AMR or AAC)", "3gp", ""},
	{4, "ftyp", "an MP4 file (AAC, ALAC or another codec)", "mp4", ""},
	{4, "styp", "a fragment of an MP4 stream", "mp4", ""},
	{4, "moov", "a QuickTime file", "mov", ""},
	{4, "mdat", "a QuickTime file", "mov", ""},
	{0, "\x1a\x45\xdf\xa3", "a Matroska or WebM file", "webm", ""},
	{0, "#!AMR-WB", "an AMR-WB file", "amr", ""},
	{0, "#!AMR", "an AMR file", "amr", ""},
	{0, "#!SILK", "a SILK file", "silk", "convert it with silk-v3-decoder; ffmpeg does not read SILK"},
	{1, "#!SILK", "a SILK file", "silk", "convert it with silk-v3-decoder; ffmpeg does not read SILK"},
	{0, "#!iLBC", "an iLBC file", "lbc", ""},
	{0, "\x30\x26\xb2\x75", "a Windows Media (ASF) file", "wma", ""},
	{0, "ADIF", "an AAC file", "aac", ""},
	{0, "caff", "a CAF file", "caf", ""},
	{0, ".snd", "an AU file", "au", ""},
	{0, "wvpk", "a WavPack file", "wv", ""},
	{0, "MAC ", "a Monkey's Audio file", "ape", ""},
	{0, "DSD ", "a DSD (DSF) file", "dsf", ""},
	{0, "FRM8", "a DSD (DSDIFF) file", "dff", ""},
	{0, "TTA1", "a True Audio file", "tta", ""},
	{0, "tBaK", "a TAK file", "tak", ""},
	{0, "OFR ", "an OptimFROG file", "", "convert it with ofr; ffmpeg does not read OptimFROG"},
	{0, "MPCK", "a Musepack file", "mpc", ""},
	{0, "MP+", "a Musepack file", "mpc", ""},
	{0, "riff\x2e\x91\xcf\x11", "a Sony Wave64 file", "w64", ""},
	{8, "AVI ", "an AVI file", "avi", ""},
	{8, "QLCM", "a QCP file", "qcp", ""},
	{8, "RMID", "a MIDI file, which has notes and no sound", "", "play it with fluidsynth into a WAV file"},
	{8, "8SVX", "an Amiga 8SVX file", "8svx", ""},
	{0, "FORM", "an IFF file other than AIFF", "iff", ""},
	{0, "RIFX", "a RIFX file other than WAV", "wav", ""},
	{0, "MThd", "a MIDI file, which has notes and no sound", "", "play it with fluidsynth into a WAV file"},
	{0, "NIST_1A", "a NIST SPHERE file", "sph", ""},
	{0, "Creative Voice File", "a VOC file", "voc", ""},
	{0, ".RMF", "a RealMedia file", "rm", ""},
	{0, ".ra\xfd", "a RealAudio file", "ra", ""},
	{0, "FLV\x01", "a Flash video", "flv", ""},
	{0, "\x00\x00\x01\xba", "an MPEG video", "mpg", ""},
	{0, "\x7f\xfe\x80\x01", "a DTS stream", "dts", ""},
	{0, "\x0b\x77", "an AC-3 stream", "ac3", ""},
	{0, "version https://git-lfs", "a Git LFS pointer and not the sound it stands for", "", "run git lfs pull"},
	{0, "<!doctype html", "a web page (HTML)", "", download},
	{0, "<html", "a web page (HTML)", "", download},
	{0, "<?xml", "an XML file", "", download},
	{0, "{\"", "a JSON file", "", download},
	{0, "#EXTM3U", "a playlist", "", "give the sounds that it names"},
	{0, "[playlist]", "a playlist", "", "give the sounds that it names"},
	{0, "%PDF", "a PDF document", "", "it holds no sound"},
	{0, "\x89PNG", "a PNG picture", "", "it holds no sound"},
	{0, "GIF8", "a GIF picture", "", "it holds no sound"},
	{0, "\xff\xd8\xff", "a JPEG picture", "", "it holds no sound"},
	{0, "PK\x03\x04", "a zip archive", "", unpack},
	{0, "Rar!", "a RAR archive", "", unpack},
	{0, "7z\xbc\xaf", "a 7z archive", "", unpack},
	{0, "\x1f\x8b", "a gzip file", "", unpack},
	{0, "BZh", "a bzip2 file", "", unpack},
	{0, "\xfd7zXZ", "an xz file", "", unpack},
	{0, "\x28\xb5\x2f\xfd", "a zstd file", "", unpack},
	{0, "SQLite format 3", "an SQLite file, perhaps an Audacity project", "", "export the sound as WAV"},
	{0, "\x93NUMPY", "a NumPy array", "", "write it as WAV, for example with soundfile"},
	{0, "\x89HDF", "an HDF5 file", "", "write its sound as WAV"},
	{0, "\x00\x05\x16\x07", "an AppleDouble file, which macOS puts beside the sound", "", "give the file without ._"},
}

// maxKindBytes is how many bytes suffice to recognise every kind.
const maxKindBytes = 32

// foreignKind returns the ErrFormat of a file of a kind that is not decoded and whose magic has at least shortest
// bytes; nil for others.
func foreignKind(start []byte, shortest int) error {
	for _, k := range fileKinds {
		if len(k.magic) < shortest || len(start) < k.offset+len(k.magic) {
			continue
		}
		if begin := start[k.offset : k.offset+len(k.magic)]; string(begin) == k.magic ||
			k.magic[0] == '<' && string(bytes.ToLower(begin)) == k.magic {
			return k.refuse()
		}
	}
	return nil
}

func (k fileKind) refuse() error {
	if k.advice != "" {
		return fmt.Errorf("%w: this is %s; %s", ErrFormat, k.name, k.advice)
	}
	return refusal("this is "+k.name, k.extension)
}

// refusal returns the ErrFormat of a sound that is not decoded, for a reason, and says how to convert it.
func refusal(reason, extension string) error {
	return fmt.Errorf("%w: %s; %s", ErrFormat, reason, convertHint(extension))
}

// convertHint returns the end of every message that refuses a sound: how to convert a file with that extension (no dot;
// "" where it is not known).
func convertHint(extension string) string {
	if extension == "" {
		return "if it is sound, convert it with ffmpeg -i in out.wav"
	}
	return fmt.Sprintf("convert it with ffmpeg -i in.%s out.wav", extension)
}
