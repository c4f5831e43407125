package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/polyphon/polyphon/cmd/internal/program"
	"github.com/polyphon/polyphon/export/onnx"
	"github.com/polyphon/polyphon/features"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/safe"
	"github.com/polyphon/polyphon/models"
	"github.com/polyphon/polyphon/polynet"
)

type importCmd struct {
	Safetensors string `help:"${stateDictHelp}" required:"" xor:"weights" type:"path" placeholder:"FILE"`
	ONNX        string `name:"onnx" help:"${importHelp}" required:"" xor:"weights" type:"path" placeholder:"FILE"`
	Out         string `help:"Model file to write." required:"" type:"path" placeholder:"FILE"`
	Like        string `help:"${likeHelp}" placeholder:"MODEL"`

	Stated statedFlags `embed:"" group:"What neither the weights' file nor --like says:"`
}

// statedFlags say what a state dict does not. A flag without a value counts as not given.
type statedFlags struct {
	Arch     kindFlag    `help:"Kind of the blocks, as for fit." placeholder:"KIND"`
	Degree   int         `help:"Degree of the blocks' polynomials, as for fit." placeholder:"N"`
	Expand   int         `name:"expansion" help:"Expansion of star blocks, as for fit." placeholder:"N"`
	Stem     stemFlag    `help:"First convolution." placeholder:"W:K:A:S"`
	Stages   []stageFlag `help:"Stages of residual blocks." placeholder:"W:B:K:A:S"`
	Labels   []string    `help:"Labels by class index." placeholder:"LABEL"`
	Features string      `help:"Frames, as for fit." enum:",default,square32" default:"" placeholder:"NAME"`
	Norm     string      `help:"${normHelp}" type:"path" placeholder:"FILE"`
	Window   float64     `help:"Seconds of sound in one decision." placeholder:"SECONDS"`
}

func (c *importCmd) Run(s program.Streams) error {
	if err := atomicfile.Check(c.Out); err != nil {
		return err
	}
	path := cmp.Or(c.Safetensors, c.ONNX)
	metadata, weights, err := c.read(path)
	if err != nil {
		return modelError(err)
	}
	m, err := c.model(path, metadata)
	if err != nil {
		return err
	}
	d, err := weights(m.Net)
	if err == nil {
		err = m.SetStateDict(d)
	}
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		return modelError(fmt.Errorf("%s: %w", path, err))
	}
	parameters := m.Net.Program().Parameters()
	if _, stated := metadata["provenance"]; !stated {
		m.Provenance = polynet.Provenance{
			Command: commandLine(), Commit: program.Commit(), Created: time.Now().UTC().Format(time.RFC3339),
			Parameters: parameters,
		}
	}
	if err := m.Save(c.Out); err != nil {
		return err
	}
	safe.Fprintf(reportTo(s, c.Out), "%s: %d parameters, %s blocks, %d labels\n",
		c.Out, parameters, m.Net.Block, len(m.Labels))
	return nil
}

// read returns what the file says of the model, and a function that returns its weights for a network.
func (c *importCmd) read(path string) (
	metadata map[string]string, weights func(polynet.Config) (polynet.StateDict, error), err error,
) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if c.ONNX != "" {
		var file *onnx.File
		if file, err = onnx.Read(f); err == nil {
			return file.Metadata(), file.StateDict, nil
		}
	} else {
		var d polynet.StateDict
		if d, metadata, err = polynet.ReadStateDict(f); err == nil {
			return metadata, func(polynet.Config) (polynet.StateDict, error) { return d, nil }, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: %w", path, err)
}

// model returns the model without weights: what the metadata of the weights' file says, else the flags, else --like.
func (c *importCmd) model(path string, metadata map[string]string) (*polynet.Model, error) {
	m := &polynet.Model{Temperature: 1}
	if c.Like != "" {
		like, err := models.Open(c.Like)
		if err != nil {
			return nil, modelError(err)
		}
		m.Features, m.Norm, m.Window, m.Net, m.Labels = like.Features, like.Norm, like.Window, like.Net, like.Labels
	}
	if err := c.Stated.apply(m, metadata); err != nil {
		return nil, program.WithStatus(program.StatusUsage, err)
	}
	if err := m.SetMetadata(metadata); err != nil {
		return nil, modelError(fmt.Errorf("%s: %w", path, err))
	}
	var missing []string
	need := func(flags string, present bool) {
		if !present {
			missing = append(missing, flags)
		}
	}
	need("--arch, --stem and --stages", m.Net.Block != "")
	need("--labels", len(m.Labels) > 0)
	need("--features", m.Features.Rate > 0)
	need("--norm", len(m.Norm.Mean) > 0)
	need("--window", m.Window > 0)
	if len(missing) > 0 {
		return nil, usageError("%s does not say all of the model; give --like, or %s", path, strings.Join(missing, ", "))
	}
	if _, stated := metadata["net"]; stated {
		return m, nil
	}
	m.Net.Inputs, m.Net.Classes = m.Features.Mels, len(m.Labels)
	return m, m.Net.Validate()
}

// apply sets what the flags say. It is an error to say what the metadata of the weights' file says.
func (f *statedFlags) apply(m *polynet.Model, metadata map[string]string) (err error) {
	given := func(flag, key string, is bool) bool {
		if _, stated := metadata[key]; stated && is {
			err = fmt.Errorf("%s: the weights' file states it itself", flag)
		}
		return is && err == nil
	}
	if given("--arch, --stem or --stages", "net", f.Arch != "" || f.Stem != stemFlag{} || len(f.Stages) > 0) {
		if f.Arch == "" || f.Stem == (stemFlag{}) || len(f.Stages) == 0 {
			return errors.New("--arch, --stem and --stages only make sense together")
		}
		m.Net = polynet.Config{}
		networkFlags{Arch: f.Arch, Degree: f.Degree, Expand: f.Expand, Stem: &f.Stem, Stages: f.Stages}.override(&m.Net)
	}
	if given("--labels", "labels", len(f.Labels) > 0) {
		m.Labels = f.Labels
	}
	if given("--features", "features", f.Features != "") {
		m.Features = featurePresets[f.Features]()
	}
	if given("--window", "window", f.Window != 0) {
		m.Window = f.Window
	}
	if given("--norm", "norm", f.Norm != "") {
		return readNorm(f.Norm, &m.Norm)
	}
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
