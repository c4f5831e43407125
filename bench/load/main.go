// Command load puts load on `classify serve` and prints what it measures, in lines of a Markdown table. bench/load.sh
// runs it with a service of one core.
//
//	load streams URL --count 800 --seconds 60    live streams that speak: delays of events, memory of the service
//	load silent URL --count 10000 --seconds 10   connections that say nothing
//	load uploads URL --seconds 5                 sounds a second, by sounds a request and requests at once
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/polyphon/polyphon/audio"
)

const rate = 16000

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	url     string
	count   int
	seconds float64
	model   string
	dir     string
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: load streams|silent|uploads URL [flags]")
	}
	o := options{url: args[1]}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.IntVar(&o.count, "count", 100, "connections")
	flags.Float64Var(&o.seconds, "seconds", 10, "how long it takes")
	flags.StringVar(&o.model, "model", "", "model")
	flags.StringVar(&o.dir, "examples", "examples", "folder with the sounds")
	if err := flags.Parse(args[2:]); err != nil {
		return err
	}
	switch args[0] {
	case "streams":
		return streams(ctx, o)
	case "silent":
		return silent(ctx, o)
	case "uploads":
		return uploads(ctx, o)
	}
	return fmt.Errorf("%q is none of streams, silent and uploads", args[0])
}

// words returns the examples with silence between, two seconds a word.
func (o options) words() (samples []float32, err error) {
	for _, name := range []string{"left", "stop", "yes"} {
		clip, err := audio.ReadFile(o.dir+"/"+name+".wav", rate)
		if err != nil {
			return nil, err
		}
		samples = append(samples, clip.Samples...)
		samples = append(samples, make([]float32, max(0, 2*rate-len(clip.Samples)))...)
	}
	return samples, nil
}

// gauge returns a value of the service's metrics.
func (o options) gauge(name string) (float64, error) {
	response, err := http.Get(o.url + "/metrics")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text := make([]byte, 0, 1<<16)
	for err == nil {
		var n int
		text = slices.Grow(text, 4096)
		n, err = response.Body.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("no %s in the metrics", name)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// watch returns the service's memory in MB, now and again after each tenth of the time, until ctx is done.
func (o options) watch(ctx context.Context) (list []float64) {
	tick := time.NewTicker(time.Duration(o.seconds / 10 * float64(time.Second)))
	defer tick.Stop()
	for {
		if bytes, err := o.gauge("process_resident_memory_bytes"); err == nil {
			list = append(list, bytes/1e6)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return list
		}
	}
}

// quantile returns the p-quantile of values, which it sorts; 0 of none.
func quantile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(p*float64(len(values))), len(values)-1)]
}
