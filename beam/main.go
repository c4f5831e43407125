// Command beam classifies archives of recordings with Apache Beam, on one machine or on Flink, Spark or Dataflow. See
// README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/gcs"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/local"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/io/filesystem/s3"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
	"github.com/polyphon/polyphon/internal/records"
)

var (
	input = flag.String("input", "", "Patterns of the files, with commas between: recordings/*.wav, gs://..., s3://...")
	model = flag.String("model", "base", "Model: base, small, tiny, or a file that all workers reach.")
	o     = options{}
)

func init() {
	flag.StringVar(&o.Output, "output", "", "Folder of the results: a path that all workers reach, gs:// or s3://")
	flag.StringVar(&o.As, "as", records.Auto, "How files are answered: auto, clip, events or windows, as by classify.")
	flag.IntVar(&o.Top, "top", 1, "Likeliest labels to report; 0 is all.")
	flag.Float64Var(&o.MinConfidence, "min_confidence", 0, "Refuse answers whose likeliest label has a lower probability.")
	flag.Int64Var(&o.Shards, "shards", 1000, "Parts in which the work is done and of which the results are made.")
}

func main() {
	flag.Parse()
	beam.Init()
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "beam:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if *input == "" || o.Output == "" {
		return errors.New("--input and --output are needed")
	}
	if err := o.open(ctx, *model); err != nil {
		return err
	}
	p := beam.NewPipeline()
	pipeline(p.Root(), strings.Split(*input, ","), o)
	result, err := beamx.RunWithMetrics(ctx, p)
	if err == nil && result != nil {
		for _, c := range result.Metrics().AllMetrics().Counters() {
			if c.Key.Namespace == namespace {
				fmt.Printf("%s\t%d\n", c.Key.Name, c.Result())
			}
		}
	}
	return err
}
