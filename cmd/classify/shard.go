package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Kubernetes sets the first variable in each pod of an Indexed Job; the manifest may set the second.
const (
	indexVariable = "JOB_COMPLETION_INDEX"
	countVariable = "JOB_COMPLETION_COUNT"
)

// shard is one of count shares of the inputs, which are numbered from 0. The zero value holds all.
type shard struct{ index, count int }

// UnmarshalText reads "I/N".
func (s *shard) UnmarshalText(text []byte) error {
	index, count, found := strings.Cut(string(text), "/")
	i, errIndex := strconv.Atoi(index)
	n, errCount := strconv.Atoi(count)
	if !found || errIndex != nil || errCount != nil {
		return fmt.Errorf("%q is not of the form I/N", text)
	}
	*s = shard{i, n}
	return s.check()
}

func (s shard) check() error {
	switch {
	case s.count < 1:
		return fmt.Errorf("%d shards", s.count)
	case s.index < 0 || s.index >= s.count:
		return fmt.Errorf("shard %v: shards are numbered from 0 to %d", s, s.count-1)
	}
	return nil
}

func (s shard) String() string { return fmt.Sprintf("%d/%d", s.index, s.count) }

// holds reports whether an input is in the shard, which depends only on its path below the folder that was given.
// SHA-256 spreads paths evenly however alike they are, and a file that is added moves no other.
func (s shard) holds(in input) bool {
	if s.count <= 1 || in.err != nil { // what cannot be found concerns every shard
		return true
	}
	digest := sha256.Sum256([]byte(in.rel))
	return binary.BigEndian.Uint64(digest[:])%uint64(s.count) == uint64(s.index)
}

// share returns the shard that the flags and the environment choose.
func (f *manyFlags) share(console io.Writer) (shard, error) {
	index, indexed := os.LookupEnv(indexVariable)
	switch {
	case f.Shard.count > 0 && f.Shards != 0 && f.Shards != f.Shard.count:
		return shard{}, fmt.Errorf("--shard %v contradicts --shards %d (or %s)", f.Shard, f.Shards, countVariable)
	case f.Shard.count > 0 || f.Shards == 0 && !indexed:
		return f.Shard, nil
	case f.Shards == 0:
		fmt.Fprintf(console, "classify: warning: %s is set, but neither --shards nor %s says how many shards there are; "+
			"all inputs are taken\n", indexVariable, countVariable)
		return shard{}, nil
	case !indexed:
		return shard{}, fmt.Errorf("--shards %d (or %s) needs %s, which is not set; --shard I/%[1]d chooses one",
			f.Shards, countVariable, indexVariable)
	}
	i, err := strconv.Atoi(index)
	if err != nil {
		return shard{}, fmt.Errorf("%s=%q is not a number", indexVariable, index)
	}
	s := shard{i, f.Shards}
	return s, s.check()
}
