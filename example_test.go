package polyphon_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"

	"github.com/polyphon/polyphon"
	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/models"
)

// open returns a Recognizer with the small model.
func open(options ...polyphon.Option) *polyphon.Recognizer {
	r, err := polyphon.New(models.Small(), options...)
	if err != nil {
		log.Fatal(err)
	}
	return r
}

// read returns a sound file's samples at 16 kHz.
func read(path string) audio.Clip {
	clip, err := audio.ReadFile(path, 16000)
	if err != nil {
		log.Fatal(err)
	}
	return clip
}

// words returns a recording of the words "yes", "left" and "stop", with a second of silence after each.
func words() audio.Clip {
	clip := audio.Clip{Rate: 16000}
	for _, word := range []string{"yes", "left", "stop"} {
		clip.Samples = append(clip.Samples, read("examples/"+word+".wav").Samples...)
		clip.Samples = append(clip.Samples, make([]float32, clip.Rate)...)
	}
	return clip
}

func ExampleRecognizer_Classify() {
	r := open()
	defer r.Close()
	clip := read("examples/left.wav")
	scores, err := r.Classify(clip.Samples, clip.Rate)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the likeliest of", len(scores), "labels:", scores[0].Label)
	// Output: the likeliest of 19 labels: left
}

func ExampleRecognizer_ClassifyBatch() {
	r := open()
	defer r.Close()
	results := r.ClassifyBatch([]audio.Clip{read("examples/yes.wav"), {Rate: 16000}, read("examples/stop.wav")})
	for _, result := range results {
		if result.Err != nil {
			fmt.Println("error:", result.Err)
			continue
		}
		fmt.Println(result.Scores[0].Label)
	}
	// Output:
	// yes
	// error: no samples
	// stop
}

func ExampleRecognizer_Windows() {
	r := open(polyphon.WithHop(1))
	defer r.Close()
	for w, err := range r.Windows(context.Background(), words().Source()) {
		if err != nil {
			log.Fatal(err)
		}
		if !w.Background() {
			fmt.Printf("%.0f to %.0f s: %s\n", w.Start, w.End, w.Scores[0].Label)
		}
	}
	// Output:
	// 0 to 1 s: yes
	// 2 to 3 s: left
	// 4 to 5 s: stop
}

func ExampleRecognizer_Events() {
	r := open()
	defer r.Close()
	for e, err := range r.Events(context.Background(), words().Source()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.0f s: %s\n", math.Floor(e.Start), e.Label)
	}
	// Output:
	// 0 s: yes
	// 2 s: left
	// 4 s: stop
}

func ExampleRecognizer_EventsOverall() {
	r := open()
	defer r.Close()
	var whole polyphon.Overall
	events := 0
	for _, err := range r.EventsOverall(context.Background(), words().Source(), &whole) {
		if err != nil {
			log.Fatal(err)
		}
		events++
	}
	fmt.Println(events, "events,", len(whole.Scores()), "labels")
	// Output:
	// 3 events, 19 labels
}

func ExampleRecognizer_Listen() {
	r := open()
	defer r.Close()
	l, err := r.Listen(polyphon.Format{Rate: 16000})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	for samples := words().Samples; len(samples) > 0; { // as they arrive from a microphone
		piece := samples[:min(1600, len(samples))]
		samples = samples[len(piece):]
		if err := l.Push(piece); err != nil {
			log.Fatal(err)
		}
		for _, e := range l.Events() {
			fmt.Println(e.Label)
		}
	}
	// Output:
	// yes
	// left
	// stop
}

func ExampleRecognizer_ListenGroup() {
	r := open()
	defer r.Close()
	rooms := []string{"kitchen", "hall"}
	g, err := r.ListenGroup(len(rooms), polyphon.Format{}) // 16-bit mono at the model's 16 kHz
	if err != nil {
		log.Fatal(err)
	}
	defer g.Close()
	for i, word := range []string{"yes", "stop"} {
		pcm, _ := binary.Append(nil, binary.LittleEndian, int16s(read("examples/"+word+".wav").Samples))
		if err := g.Write(i, pcm); err != nil {
			log.Fatal(err)
		}
		if err := g.Flush(i); err != nil {
			log.Fatal(err)
		}
	}
	if err := g.Compute(); err != nil {
		log.Fatal(err)
	}
	for _, e := range g.Events() {
		fmt.Println(rooms[e.Sound]+":", e.Label)
	}
	// Output:
	// kitchen: yes
	// hall: stop
}

func int16s(samples []float32) []int16 {
	values := make([]int16, len(samples))
	for i, v := range samples {
		values[i] = int16(v * math.MaxInt16)
	}
	return values
}

func ExampleRecognizer_Embed() {
	r := open()
	defer r.Close()
	clip := read("examples/yes.wav")
	embedding, err := r.Embed(clip.Samples, clip.Rate)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(embedding), "channels") // compare it with those of other sounds
	// Output: 43 channels
}
