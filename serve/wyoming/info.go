package wyoming

// info is the object of an info event: what each kind of service offers, of which this one is one.
type info struct {
	ASR    []struct{} `json:"asr"`
	TTS    []struct{} `json:"tts"`
	Handle []struct{} `json:"handle"`
	Intent []struct{} `json:"intent"`
	Wake   []program  `json:"wake"`
	Mic    []struct{} `json:"mic"`
	Snd    []struct{} `json:"snd"`
}

// artifact is what programs and models have. Clients expect all of its fields.
type artifact struct {
	Name        string      `json:"name"`
	Description string      `json:"description"`
	Installed   bool        `json:"installed"`
	Version     *string     `json:"version"`
	Attribution attribution `json:"attribution"`
}

type attribution struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

type program struct {
	artifact
	Models []wakeModel `json:"models"`
}

type wakeModel struct {
	artifact
	Languages []string `json:"languages"`
	Phrase    string   `json:"phrase"`
}

var home = attribution{"polyphon", "https://github.com/polyphon/polyphon"}

// info returns what there is: each word of each model is what the protocol calls a model.
func (s *Server) info() info {
	none := []struct{}{}
	polyphon := program{
		artifact: artifact{
			Name: "polyphon", Description: "Words and other sounds, by polynomial networks", Installed: true,
			Attribution: home,
		},
		Models: []wakeModel{},
	}
	for i, m := range s.backend.Models() {
		for _, word := range m.Words {
			full := name(i, m, word)
			polyphon.Models = append(polyphon.Models, wakeModel{
				artifact:  artifact{Name: full, Description: full, Installed: true, Attribution: home},
				Languages: []string{}, Phrase: word,
			})
		}
	}
	return info{
		ASR: none, TTS: none, Handle: none, Intent: none, Wake: []program{polyphon}, Mic: none, Snd: none,
	}
}
