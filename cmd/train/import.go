package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/export/onnx"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

type importCmd struct {
	Safetensors string `help:"State dict of bench/pytorch's network, in a safetensors file." required:"" xor:"weights" type:"path" placeholder:"FILE"`
	ONNX        string `name:"onnx" help:"ONNX file that train export wrote, or torch.onnx.export of bench/pytorch's network." required:"" xor:"weights" type:"path" placeholder:"FILE"`
	Out         string `help:"Model file to write." required:"" type:"path" placeholder:"FILE"`
	Like        string `help:"Model file whose network, labels, features, normalisation and window are those of the weights." type:"path" placeholder:"FILE"`

	Stated statedFlags `embed:"" group:"What neither the weights' file nor --like says:"`
}

// statedFlags say what a state dict does not. A flag without a value counts as not given.
type statedFlags struct {
	Arch     string   `help:"Kind of the blocks, as for fit." placeholder:"KIND"`
	Degree   int      `help:"Degree of the blocks' polynomials, as for fit." placeholder:"N"`
	Stem     string   `help:"First convolution." placeholder:"W:K:A:S"`
	Stages   []string `help:"Stages of residual blocks." placeholder:"W:B:K:A:S"`
	Labels   []string `help:"Labels by class index." placeholder:"LABEL"`
	Features string   `help:"Frames: default or square32, as for fit." enum:",default,square32" default:"" placeholder:"NAME"`
	Norm     string   `help:"JSON file of the frames' normalisation: {\"mean\": [...], \"std\": [...], \"limit\": 4}." type:"path" placeholder:"FILE"`
	Window   float64  `help:"Seconds of sound in one decision." placeholder:"SECONDS"`
}

// weights are a file's, with what it says of them.
type weights struct {
	metadata map[string]string
	of       func(polynet.Config) (polynet.StateDict, error)
}

func (c *importCmd) Run(s streams) error {
	w, err := c.read()
	if err != nil {
		return program.WithStatus(program.StatusModel, err)
	}
	m, err := c.model(w.metadata)
	if err != nil {
		return err
	}
	if err := w.set(m); err != nil {
		return program.WithStatus(program.StatusModel, fmt.Errorf("%s: %w", c.path(), err))
	}
	if _, stated := w.metadata["provenance"]; !stated {
		m.Provenance = polynet.Provenance{
			Command: commandLine(), Commit: program.Commit(), Created: time.Now().UTC().Format(time.RFC3339), Parameters: m.Net.Parameters(),
		}
	}
	if err := m.Save(c.Out); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %d parameters, %s blocks, %d labels\n", c.Out, m.Net.Parameters(), m.Net.Block, len(m.Labels))
	return nil
}

func (c *importCmd) path() string { return cmp.Or(c.Safetensors, c.ONNX) }

func (c *importCmd) read() (*weights, error) {
	f, err := os.Open(c.path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if c.ONNX != "" {
		file, err := onnx.Read(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ONNX, err)
		}
		return &weights{file.Metadata(), file.StateDict}, nil
	}
	d, metadata, err := polynet.ReadStateDict(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Safetensors, err)
	}
	return &weights{metadata, func(polynet.Config) (polynet.StateDict, error) { return d, nil }}, nil
}

// set gives m the weights.
func (w *weights) set(m *polynet.Model) error {
	d, err := w.of(m.Net)
	if err != nil {
		return err
	}
	if err := m.SetStateDict(d); err != nil {
		return err
	}
	return m.Validate()
}

// model returns the model without weights: what the metadata says, else the flags, else --like.
func (c *importCmd) model(metadata map[string]string) (*polynet.Model, error) {
	m := &polynet.Model{Temperature: 1}
	if c.Like != "" {
		like, err := models.Open(c.Like)
		if err != nil {
			return nil, program.WithStatus(program.StatusModel, err)
		}
		m.Features, m.Norm, m.Window, m.Net, m.Labels = like.Features, like.Norm, like.Window, like.Net, like.Labels
	}
	if err := c.Stated.apply(m, metadata); err != nil {
		return nil, err
	}
	if err := m.SetMetadata(metadata); err != nil {
		return nil, program.WithStatus(program.StatusModel, fmt.Errorf("%s: %w", c.path(), err))
	}
	var missing []string
	for _, part := range []struct {
		absent bool
		flags  string
	}{
		{m.Net.Block == "", "--arch, --stem and --stages"}, {len(m.Labels) == 0, "--labels"}, {m.Features.Rate == 0, "--features"},
		{len(m.Norm.Mean) == 0, "--norm"}, {m.Window == 0, "--window"},
	} {
		if part.absent {
			missing = append(missing, part.flags)
		}
	}
	if len(missing) > 0 {
		return nil, program.WithStatus(program.StatusUsage, fmt.Errorf("%s does not say all of the model; give --like, or %s", c.path(), strings.Join(missing, ", ")))
	}
	if _, stated := metadata["net"]; stated {
		return m, nil
	}
	m.Net.Inputs, m.Net.Classes = m.Features.Mels, len(m.Labels)
	return m, m.Net.Validate()
}

// apply sets what the flags say. What the weights' file says itself no flag may say.
func (f *statedFlags) apply(m *polynet.Model, metadata map[string]string) error {
	for _, flag := range []struct {
		name, key string
		given     bool
		set       func() error
	}{
		{"--arch, --stem or --stages", "net", f.Arch != "" || f.Stem != "" || len(f.Stages) > 0, func() error { return f.setNet(m) }},
		{"--labels", "labels", len(f.Labels) > 0, func() error { m.Labels = f.Labels; return nil }},
		{"--features", "features", f.Features != "", func() error { m.Features = featurePresets[f.Features](); return nil }},
		{"--norm", "norm", f.Norm != "", func() error { return readNorm(f.Norm, &m.Norm) }},
		{"--window", "window", f.Window != 0, func() error { m.Window = f.Window; return nil }},
	} {
		if !flag.given {
			continue
		}
		if _, stated := metadata[flag.key]; stated {
			return program.WithStatus(program.StatusUsage, fmt.Errorf("%s: the weights' file states it itself", flag.name))
		}
		if err := flag.set(); err != nil {
			return program.WithStatus(program.StatusUsage, err)
		}
	}
	return nil
}

var featurePresets = map[string]func() features.Config{"default": features.Default, "square32": features.Square32}

func (f *statedFlags) setNet(m *polynet.Model) (err error) {
	if f.Arch == "" || f.Stem == "" || len(f.Stages) == 0 {
		return fmt.Errorf("--arch, --stem and --stages only make sense together")
	}
	m.Net, err = networkFlags{Arch: f.Arch, Degree: f.Degree, Stem: f.Stem, Stages: f.Stages}.config()
	return err
}

func readNorm(path string, n *features.Norm) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, n); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
