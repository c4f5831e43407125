package audio

import (
	"fmt"
	"strings"
)

// codecName returns the name of the codec that a format tag stands for, "" for a tag that is not registered.
func codecName(tag uint16) string {
	_, after, _ := strings.Cut(codecs, fmt.Sprintf("\n%04X ", tag))
	name, _, _ := strings.Cut(after, "\n")
	return name
}

// codecs are the registered format tags of WAV files, after RFC 2361 and Microsoft's mmreg.h, which goes on from there.
const codecs = `
0001 PCM
0002 Microsoft ADPCM
0003 float
0004 Compaq VSELP
0005 IBM CVSD
0006 A-law
0007 µ-law
0008 DTS
0009 DRM-encrypted sound
000A Windows Media Audio Voice 9
000B Windows Media Audio Voice 10
0010 OKI ADPCM
0011 IMA ADPCM
0012 Videologic Mediaspace ADPCM
0013 Sierra ADPCM
0014 Antex G.723 ADPCM
0015 DSP Solutions DIGISTD
0016 DSP Solutions DIGIFIX
0017 Dialogic OKI ADPCM
0018 Media Vision ADPCM
0019 HP CU codec
001A HP dynamic voice
0020 Yamaha ADPCM
0021 Speech Compression SONARC
0022 DSP Group TrueSpeech
0023 Echo Speech SC1
0024 AudioFile AF36
0025 aptX
0026 AudioFile AF10
0027 Aculab Prosody 1612
0028 Merging Technologies LRC
0030 Dolby AC-2
0031 GSM 6.10
0032 MSN Audio
0033 Antex ADPCME
0034 Control Resources VQLPC
0035 DSP Solutions DIGIREAL
0036 DSP Solutions DIGIADPCM
0037 Control Resources CR10
0038 Natural MicroSystems VBX ADPCM
0039 Crystal Semiconductor IMA ADPCM
003A Echo Speech SC3
003B Rockwell ADPCM
003C Rockwell DigiTalk
003D Xebec
0040 G.721 ADPCM
0041 G.728 CELP
0042 Microsoft G.723
0043 Intel G.723.1
0044 Intel G.729
0045 G.726 ADPCM
0050 MPEG audio
0052 InSoft RT24
0053 InSoft PAC
0055 MP3
0059 Lucent G.723
0060 Cirrus Logic
0061 ESS ESPCM
0062 Voxware
0063 Canopus ATRAC
0064 G.726 ADPCM
0065 G.722 ADPCM
0066 Microsoft DSAT
0067 Microsoft DSAT display
0069 Voxware byte-aligned
0070 Voxware AC8
0071 Voxware AC10
0072 Voxware AC16
0073 Voxware AC20
0074 Voxware RT24
0075 Voxware RT29
0076 Voxware RT29HW
0077 Voxware VR12
0078 Voxware VR18
0079 Voxware TQ40
007A Voxware SC3
007B Voxware SC3.1
0080 SoftSound
0081 Voxware TQ60
0082 Microsoft RT24
0083 G.729A
0084 Motion Pixels MVI2
0085 DataFusion G.726
0086 DataFusion GSM 6.10
0088 Iterated Systems audio
0089 OnLive
008A Multitude FT SX20
008B Infocom ITS G.721 ADPCM
008C Convedia G.729
008D Congruency audio
0091 Siemens SBC24
0092 AC-3
0093 MediaSonic G.723
0094 Aculab Prosody 8 kbit/s
0097 ZyXEL ADPCM
0098 Philips LPCBB
0099 Studer packed audio
00A0 Malden PhonyTalk
00A1 Racal GSM
00A2 Racal G.720A
00A3 Racal G.723.1
00A4 Racal TETRA ACELP
00B0 NEC AAC
00FF AAC
0100 Rhetorex ADPCM
0101 BeCubed IRAT
0111 Vivo G.723
0112 Vivo Siren
0120 Philips CELP
0121 Philips Grundig
0123 Digital Equipment G.723
0125 Sanyo LD-ADPCM
0130 Sipro Lab ACELP.net
0131 Sipro Lab ACELP 4800
0132 Sipro Lab ACELP 8V3
0133 Sipro Lab G.729
0134 Sipro Lab G.729A
0135 Sipro Lab Kelvin
0136 VoiceAge AMR
0140 Dictaphone G.726 ADPCM
0141 Dictaphone CELP 68
0142 Dictaphone CELP 54
0150 Qualcomm PureVoice
0151 Qualcomm half-rate
0155 Ring Zero TUBGSM
0160 Windows Media Audio 1
0161 Windows Media Audio 2
0162 Windows Media Audio Pro
0163 Windows Media Audio lossless
0164 Windows Media Audio over S/PDIF
0170 Unisys NAP ADPCM
0171 Unisys NAP µ-law
0172 Unisys NAP A-law
0173 Unisys NAP 16K
0174 SyCom SYC008
0175 SyCom SYC701 G.726L
0176 SyCom SYC701 CELP 54
0177 SyCom SYC701 CELP 68
0178 Knowledge Adventure ADPCM
0180 Fraunhofer MPEG-2 AAC
0190 DTS DS
0200 Creative ADPCM
0202 Creative FastSpeech 8
0203 Creative FastSpeech 10
0210 UHER ADPCM
0215 Ulead DV audio NTSC
0216 Ulead DV audio PAL
0220 Quarterdeck
0230 I-link VC
0240 Aureal raw sport
0241 ESS AC-3
0249 passed-through audio
0250 Interactive Products HSX
0251 Interactive Products RPELP
0260 Consistent Software CS2
0270 Sony SCX
0271 Sony SCY
0272 Sony ATRAC3
0273 Sony SPC
0280 Telum audio
0281 Telum IA audio
0285 Norcom ADPCM
0300 FM Towns sound
0350 Micronas
0351 Micronas CELP 833
0400 Brooktree digital
0401 Intel Music Coder
0402 Indeo Audio
0450 QDesign Music
0500 On2 VP7 audio
0501 On2 VP6 audio
0680 AT&T VMPCM
0681 AT&T TPC
08AE LightWave lossless
1000 Olivetti GSM
1001 Olivetti ADPCM
1002 Olivetti CELP
1003 Olivetti SBC
1004 Olivetti OPR
1100 Lernout & Hauspie codec
1101 Lernout & Hauspie CELP
1102 Lernout & Hauspie SBC8
1103 Lernout & Hauspie SBC12
1104 Lernout & Hauspie SBC16
1400 Norris
1401 ISIAudio 2
1500 Soundspace MusiCompress
1600 AAC (ADTS)
1601 AAC (raw)
1602 AAC (LOAS)
1608 Nokia AAC (ADTS)
1609 Nokia AAC (raw)
160A Vodafone AAC (ADTS)
160B Vodafone AAC (raw)
1610 AAC (HE-AAC)
181C Voxware RT24 speech
1971 Sonic Foundry lossless
1979 Innings ADPCM
1C07 Lucent SX8300P
1C0C Lucent SX5363S
1F03 CUseeMe
1FC4 NCT Soft ALF2CM
2000 AC-3 (DVM)
2001 DTS
3313 MakeAVIS
4143 Divio MPEG-4 AAC
4201 Nokia AMR
4243 Divio G.726
434C LEAD speech
564C LEAD Vorbis
5756 WavPack
6C61 Apple Lossless (ALAC)
674F Vorbis
6750 Vorbis
6751 Vorbis
676F Vorbis
6770 Vorbis
6771 Vorbis
7000 3Com NBX
704F Opus
706D FAAD AAC
7361 AMR-NB
7362 AMR-WB
7363 AMR-WB+
7A21 GSM-AMR, constant bit rate
7A22 GSM-AMR, variable bit rate
A100 Comverse G.723.1
A101 Comverse AVQSBC
A102 Comverse SBC
A103 Symbol G.729A
A104 VoiceAge AMR-WB
A105 Ingenient G.726
A106 MPEG-4 AAC
A107 Encore G.726
A108 ZOLL ASAO
A109 Speex
A10A Vianix MASC
A10B Windows Media 9 spectrum analyzer
A10C Windows Media spectrum analyzer
A10D GSM 6.10
A10E GSM 6.20
A10F GSM 6.60
A110 GSM 6.90
A111 GSM AMR-WB
A112 Polycom G.722
A113 Polycom G.728
A114 Polycom G.729A
A115 Polycom Siren
A116 iLBC
A117 RadioTime time shift radio
A118 NICE ACA
A119 NICE ADPCM
A11A Vocord G.721
A11B Vocord G.726
A11C Vocord G.722.1
A11D Vocord G.728
A11E Vocord G.729
A11F Vocord G.729A
A120 Vocord G.723.1
A121 Vocord LBC
A122 NICE G.728
A123 France Telecom G.729
A124 Codian
F1AC FLAC
`
