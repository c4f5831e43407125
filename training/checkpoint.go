package training

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"github.com/polyphon/polyphon/datasets"
	"github.com/polyphon/polyphon/internal/atomicfile"
	"github.com/polyphon/polyphon/internal/foreign"
)

// A checkpoint file is a sequence of gob messages: the head, each epoch done, the values of each list in pieces, the
// best model's file in pieces; and then the SHA-256 of all of these. Messages are small, so that no claim of one costs
// memory, and how many values there are is known from the run, not from the file.
const (
	checkpointVersion = 6             // changes with what is in the file
	maxCheckpoint     = 4 << 30       // bytes of a file
	maxHead           = 1<<20 + 1<<16 // bytes of the head, labels being at most those of a model file
	piece             = 1 << 16       // values, or bytes of a model, in a message
)

var errVersion = errors.New("it has version")

// checkpoint is the whole state of a run between two epochs. Random numbers need no state: each epoch draws from
// its own generator.
type checkpoint struct {
	head
	History []Epoch // one for each epoch done
	Weights state
	Average state       // of the EMA, where there is one
	Moments [][]float32 // of the optimiser
	Hard    []datasets.Place
}

// head is what a checkpoint says about itself.
type head struct {
	Version int
	Config  Config
	Labels  []string
	Data    string // digest of the training data
	Step    int    // optimiser steps done
	Epochs  int    // done
	Best    bestState
	Model   int // bytes of the best model's file, which is not in the head
}

// hardPlaces is the message of the hard places in the negatives.
type hardPlaces struct{ List []datasets.Place }

// bestState is the best epoch on the validation split.
type bestState struct {
	Epoch         int     // from 1; 0: none yet
	Score         float64 // what the best epoch is chosen by
	Accuracy, NLL float64 // of the clips alone
	// The same in context, where the run trains with it.
	ContextAccuracy, ContextNLL float64
	Model                       []byte // as in its file
}

// lists returns the lists of values, in the order of a file.
func (c *checkpoint) lists() []*[]float32 {
	all := []*[]float32{&c.Weights.Params, &c.Weights.Running, &c.Average.Params, &c.Average.Running}
	for i := range c.Moments {
		all = append(all, &c.Moments[i])
	}
	return all
}

// save writes c to path, whole or not at all.
func (c *checkpoint) save(path string) error { return atomicfile.Write(path, c.write) }

func (c *checkpoint) write(w io.Writer) error {
	out, sum := bufio.NewWriterSize(w, 1<<16), sha256.New()
	e := gob.NewEncoder(io.MultiWriter(out, sum))
	about := c.head
	about.Best.Model = nil
	err := e.Encode(about)
	add := func(part any) {
		if err == nil {
			err = e.Encode(part)
		}
	}
	for _, epoch := range c.History {
		add(epoch)
	}
	add(hardPlaces{c.Hard})
	for _, list := range c.lists() {
		for part := range slices.Chunk(*list, piece) {
			add(part)
		}
	}
	for part := range slices.Chunk(c.Best.Model, piece) {
		add(part)
	}
	out.Write(sum.Sum(nil)) // errors stick to out and come with Flush
	return cmp.Or(err, out.Flush())
}

// read reads the messages of a checkpoint of the run that c, made by Trainer.checkpoint, is one of.
func (c *checkpoint) read(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: maxHead}
	d := gob.NewDecoder(limited)
	h, err := readHead(d)
	if err != nil {
		return err
	}
	if err := c.matches(&h); err != nil {
		return err
	}
	if err := h.check(); err != nil {
		return err
	}
	limited.N = maxCheckpoint
	c.head = h
	if c.History, err = readEpochs(d, h.Epochs); err != nil {
		return err
	}
	var hard hardPlaces
	if err := d.Decode(&hard); err != nil {
		return fmt.Errorf("it is damaged: the hard negatives: %w", noEOF(err))
	}
	if len(hard.List) > datasets.MaxPlaces {
		return errors.New("it is damaged: it has too many hard negatives")
	}
	c.Hard = hard.List
	for i, list := range c.lists() {
		values, err := readPieces[float32](d, len(*list))
		if err != nil {
			return fmt.Errorf("it is damaged: list %d: %w", i, err)
		}
		*list = values
	}
	if c.Best.Model, err = readPieces[byte](d, h.Model); err != nil {
		return fmt.Errorf("it is damaged: the best model: %w", err)
	}
	return nil
}

// readHead reads the first message.
func readHead(d *gob.Decoder) (h head, err error) {
	if err := d.Decode(&h); err != nil {
		return h, fmt.Errorf("it is damaged, no checkpoint or one of another version: %w", noEOF(err))
	}
	if h.Version != checkpointVersion {
		return h, fmt.Errorf("%w %d, this program writes %d", errVersion, h.Version, checkpointVersion)
	}
	return h, nil
}

// check returns an error for counts that no run has.
func (h *head) check() error {
	if h.Step < 0 || h.Epochs < 0 || h.Epochs > h.Config.Epochs || h.Best.Epoch < 0 || h.Best.Epoch > h.Epochs ||
		h.Model < 0 || len(h.Best.Model) > 0 {
		return errors.New("it is damaged: its counts are impossible")
	}
	return nil
}

// readEpochs reads n epochs, the messages after the head.
func readEpochs(d *gob.Decoder, n int) (history []Epoch, err error) {
	for range n {
		var epoch Epoch // anew, since gob leaves out what is zero
		if err := d.Decode(&epoch); err != nil {
			return nil, fmt.Errorf("it is damaged: epoch %d: %w", len(history)+1, noEOF(err))
		}
		history = append(history, epoch)
	}
	return history, nil
}

// Past is what a run has done so far.
type Past struct {
	Config  Config
	History []Epoch // the epochs done
	Data    string  // the digest of its data, as in polynet.Provenance
}

// ReadPast returns that of the run whose checkpoint is at path. A file that is damaged or no checkpoint gives an error
// wrapping ErrCheckpoint.
func ReadPast(path string) (Past, error) {
	f, err := os.Open(path)
	if err != nil {
		return Past{}, err
	}
	defer f.Close()
	limited := &io.LimitedReader{R: bufio.NewReaderSize(f, 1<<16), N: maxHead}
	d, damage := gob.NewDecoder(limited), checksum(f)
	h, err := readHead(d)
	if err == nil {
		err = h.check()
	}
	if damage != nil && !errors.Is(err, errVersion) {
		err = damage
	}
	if err == nil {
		limited.N = maxCheckpoint
	}
	past := Past{Config: h.Config, Data: h.Data}
	if err == nil {
		past.History, err = readEpochs(d, h.Epochs)
	}
	if err != nil {
		return Past{}, fmt.Errorf("%w: %s: %w", ErrCheckpoint, path, err)
	}
	return past, nil
}

// readPieces reads so many values. Memory grows with what arrives.
func readPieces[T float32 | byte](d *gob.Decoder, n int) (values []T, err error) {
	var part []T
	for len(values) < n {
		part = part[:0]
		if err := d.Decode(&part); err != nil {
			return nil, noEOF(err)
		}
		if len(part) == 0 || len(part) > n-len(values) {
			return nil, fmt.Errorf("%d values after %d of %d", len(part), len(values), n)
		}
		values = append(values, part...)
	}
	return values, nil
}

// noEOF turns an end of file in the middle of something into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checksum returns an error unless the file ends with the SHA-256 of all before, and rewinds it.
func checksum(f io.ReadSeeker) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size > maxCheckpoint {
		return fmt.Errorf("it has %d bytes, at most %d are possible", size, int64(maxCheckpoint))
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum, start := sha256.New(), new(bytes.Buffer)
	body := io.TeeReader(io.LimitReader(f, size-sha256.Size), sum)
	if _, err := io.CopyN(start, body, foreign.Start); err != nil && err != io.EOF {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	stored, err := io.ReadAll(io.LimitReader(f, sha256.Size))
	if err != nil {
		return err
	}
	if kind := foreign.Known(append(start.Bytes(), stored...)); kind != "" {
		return fmt.Errorf("it is %s, no checkpoint", kind)
	}
	if !bytes.Equal(stored, sum.Sum(nil)) {
		err = errors.New("it is damaged, cut short, of an earlier version or no checkpoint: its checksum is wrong")
	}
	_, seek := f.Seek(0, io.SeekStart)
	return errors.Join(err, seek)
}

// checkpoint returns the state after the latest epoch.
func (t *Trainer) checkpoint() *checkpoint {
	c := &checkpoint{
		head: head{
			Version: checkpointVersion, Config: t.cfg, Labels: t.labels, Data: t.digest,
			Step: t.step, Epochs: len(t.history), Best: t.best, Model: len(t.best.Model),
		},
		History: t.history, Weights: t.net.state(), Moments: t.opt.state(), Hard: t.hard,
	}
	if t.ema != nil {
		c.Average = t.ema.average.state()
	}
	return c
}

// resume continues from the checkpoint at path: the run then gives what it would have given without the interruption.
// Where there is no such file, it does nothing. A file that is damaged or of another run gives an error wrapping
// ErrCheckpoint.
func (t *Trainer) resume(path string) error {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	defer f.Close()
	c, damage := t.checkpoint(), checksum(f)
	err = c.read(bufio.NewReaderSize(f, 1<<16))
	if damage != nil && !errors.Is(err, errVersion) {
		err = damage
	}
	if err == nil {
		err = errors.Join(t.net.setState(c.Weights), t.opt.setState(c.Moments))
	}
	if err == nil && t.ema != nil {
		err = t.ema.average.setState(c.Average)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCheckpoint, path, err)
	}
	t.step, t.best, t.history, t.hard = c.Step, c.Best, c.History, c.Hard
	if err := t.train.SetHard(t.hard); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCheckpoint, path, err)
	}
	return nil
}

// matches returns an error when h is not that of a checkpoint of the same configuration on the same data as c.
func (c *checkpoint) matches(h *head) error {
	was, is := h.Config, c.Config
	was.Steps = is.Steps                          // of which the epochs follow
	if longer := is.Epochs > was.Epochs; longer { // a run may be continued beyond its end
		was.Epochs, was.Warmup = is.Epochs, is.Warmup // which is at most all epochs
	}
	a, b := reflect.ValueOf(was), reflect.ValueOf(is)
	for i := range a.NumField() {
		if was, is := a.Field(i).Interface(), b.Field(i).Interface(); !reflect.DeepEqual(was, is) {
			return fmt.Errorf("the checkpoint was made with other settings: %s was %v and is now %v; "+
				"give the same ones, or begin anew",
				a.Type().Field(i).Name, was, is)
		}
	}
	if !slices.EqualFunc(h.Labels, c.Labels, datasets.SameLabel) {
		return fmt.Errorf("the checkpoint was made for the labels %v, the data has %v", h.Labels, c.Labels)
	}
	if h.Data != c.Data {
		return errors.New("the training data changed since the checkpoint was made")
	}
	return nil
}
