package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/polyphon/polyphon/audio"
	"github.com/polyphon/polyphon/audio/audiotest"
)

// uploads measures sounds a second of one second each, for several numbers of sounds a request and of requests at once.
func uploads(ctx context.Context, o options) error {
	clip, err := audio.ReadFile(o.dir+"/left.wav", rate)
	if err != nil {
		return err
	}
	sound := audiotest.WAV(audio.S16LE, rate, clip.Samples)
	concurrency := []int{1, 4, 16, 64}
	fmt.Printf("| sounds a request |")
	for _, c := range concurrency {
		fmt.Printf(" %d at once |", c)
	}
	fmt.Printf("\n| --- | --- | --- | --- | --- |\n")
	for _, k := range []int{1, 4, 16, 64} {
		fmt.Printf("| %d |", k)
		for _, c := range concurrency {
			speed, err := upload(ctx, o, sound, k, c)
			if err != nil {
				return err
			}
			fmt.Printf(" %.0f |", speed)
		}
		fmt.Println(" sounds/s")
	}
	return nil
}

// upload returns how many sounds a second are answered where so many requests of k sounds are sent at once.
func upload(ctx context.Context, o options, sound []byte, k, concurrency int) (speed float64, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := range k {
		part, err := form.CreateFormFile("file", fmt.Sprintf("%d.wav", i))
		if err != nil {
			return 0, err
		}
		part.Write(sound)
	}
	form.Close()
	url, contentType, content := o.url+"/v1/classify:batch?model="+o.model, form.FormDataContentType(), body.Bytes()
	if k == 1 {
		url, contentType, content = o.url+"/v1/classify?model="+o.model, "audio/wav", sound
	}
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	begun := time.Now()
	until := begun.Add(time.Duration(o.seconds * float64(time.Second)))
	var done atomic.Int64
	var failed atomic.Value
	var all sync.WaitGroup
	for range concurrency {
		all.Go(func() {
			for time.Now().Before(until) && ctx.Err() == nil && failed.Load() == nil {
				response, err := client.Post(url, contentType, bytes.NewReader(content))
				if err != nil {
					failed.Store(err)
					return
				}
				answer, err := io.ReadAll(response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK {
					failed.Store(fmt.Errorf("%d %s: %v", response.StatusCode, answer, err))
					return
				}
				done.Add(int64(k))
			}
		})
	}
	all.Wait()
	if err, ok := failed.Load().(error); ok {
		return 0, err
	}
	return float64(done.Load()) / time.Since(begun).Seconds(), nil
}
