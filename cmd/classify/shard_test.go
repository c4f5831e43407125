package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

func TestShardsTakeEachFileOnce(t *testing.T) {
	model := loudness(t)
	files := sounds(t, 100)
	folder(t, files)
	for n := 1; n <= 7; n++ {
		out := fmt.Sprintf("r%d", n)
		total := 0
		for i := range n {
			status, _, errs := classify(t, nil, "--model", model, "--out", out, "--shard", fmt.Sprintf("%d/%d", i, n), "rec")
			expect(t, "status", status, statusOK)
			var done, all int
			if _, err := fmt.Sscanf(errs, "classify: %d of %d files classified", &done, &all); err != nil || done != all {
				t.Fatalf("shard %d/%d: %v in %q", i, n, err, errs)
			}
			if all < 100/n/2 || all > 2*100/n {
				t.Errorf("shard %d/%d has %d of 100 files", i, n, all)
			}
			total += done
		}
		expect(t, "files of all shards", total, len(files))
		expect(t, "result files", len(tree(t, out)), len(files)) // a file that two shards did would have been skipped
	}
}

// TestShardsStay holds the shares to those that other machines, and other versions, compute.
func TestShardsStay(t *testing.T) {
	var got []int
	for _, rel := range []string{"a.wav", "a/b.wav", "left/0001_nohash_0.wav", "ü.wav"} {
		for i := range 7 {
			if (shard{i, 7}).holds(input{name: "/anywhere/" + rel, rel: rel}) {
				got = append(got, i)
			}
		}
	}
	// import hashlib; [print(int.from_bytes(hashlib.sha256(p.encode()).digest()[:8], "big") % 7) for p in (…)]
	expect(t, "shards", got, []int{3, 6, 5, 5})
}

func TestShardsOnTheStandardOutput(t *testing.T) {
	model := loudness(t)
	folder(t, sounds(t, 20))
	var got []string
	for i := range 3 {
		_, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "--shard", fmt.Sprintf("%d/3", i), "rec")
		events := parse(t, out)
		expect(t, "shard", events[len(events)-1].Shard, fmt.Sprintf("%d/3", i))
		for _, e := range events[:len(events)-1] {
			got = append(got, e.File)
		}
	}
	_, out, _ := classify(t, nil, "--model", model, "--format", "ndjson", "rec")
	var want []string
	for _, e := range parse(t, out) {
		if e.Event == "result" {
			want = append(want, e.File)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	expect(t, "files", got, want)
}

func TestShardWithoutInputs(t *testing.T) {
	model := loudness(t)
	folder(t, map[string][]byte{"a.wav": wav(noise(100, loud))})
	idle := 0
	for i := range 5 {
		for _, more := range [][]string{{}, {"--out", "r"}} {
			args := []string{"--model", model, "--shard", fmt.Sprintf("%d/5", i), "a.wav"}
			status, _, errs := classify(t, nil, append(args, more...)...)
			expect(t, "status", status, statusOK)
			if strings.Contains(errs, fmt.Sprintf("classify: nothing to do: no inputs of shard %d/5\n", i)) {
				idle++
			}
		}
		// What cannot be found is reported by every shard: it may be a disk that is not there.
		status, _, errs := classify(t, nil, "--model", model, "--shard", fmt.Sprintf("%d/5", i), "missing")
		expect(t, "status", status, statusFailed)
		contains(t, "stderr", errs, "classify: missing: ")
	}
	expect(t, "runs that said they had nothing to do", idle, 8)
}

func TestShardChoice(t *testing.T) {
	for _, c := range []struct {
		flags        string
		index, count string // of the environment
		want, err    string
	}{
		{"", "", "", "0/0", ""},
		{"--shard 2/7", "", "", "2/7", ""},
		{"--shard 2/7", "1", "", "2/7", ""},
		{"", "3", "8", "3/8", ""},
		{"--shards 8", "3", "", "3/8", ""},
		{"--shards 8", "3", "9", "3/8", ""},
		{"", "3", "", "0/0", ""}, // with a warning
		{"", "", "8", "", "--shard I/8 chooses one"},
		{"", "8", "8", "", "numbered from 0 to 7"},
		{"", "x", "8", "", `JOB_COMPLETION_INDEX="x"`},
		{"", "3", "x", "", "JOB_COMPLETION_COUNT"},
		{"--shards=-1", "0", "", "", "-1 shards"},
		{"--shard 7/7", "", "", "", "numbered from 0 to 6"},
		{"--shard=-1/7", "", "", "", "numbered from 0"},
		{"--shard 0/0", "", "", "", "0 shards"},
		{"--shard 3", "", "", "", "I/N"},
		{"--shard 1/2/3", "", "", "", "I/N"},
		{"--shard 1/7", "", "8", "", "contradicts"},
	} {
		t.Run(c.flags+" "+c.index+" "+c.count, func(t *testing.T) {
			for name, value := range map[string]string{indexVariable: c.index, countVariable: c.count} {
				if t.Setenv(name, value); value == "" { // and put back what was there
					os.Unsetenv(name)
				}
			}
			var flags manyFlags
			parser, err := kong.New(&flags, kong.Vars(texts))
			if err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			var got shard
			if _, err = parser.Parse(strings.Fields(c.flags)); err == nil {
				got, err = flags.share(&said)
			}
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v does not say %q", err, c.err)
				}
				return
			}
			expect(t, "shard", fmt.Sprint(got, err), c.want+" <nil>")
			expect(t, "warned", strings.Contains(said.String(), "warning"), c.index != "" && c.want == "0/0")
		})
	}
}

// TestKubernetesJob holds the example to what classify and an Indexed Job need.
func TestKubernetesJob(t *testing.T) {
	text, err := os.ReadFile("../../examples/kubernetes-job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var job struct {
		Kind string
		Spec struct {
			CompletionMode           string `yaml:"completionMode"`
			Completions, Parallelism int
			Template                 struct {
				Spec struct {
					RestartPolicy   string `yaml:"restartPolicy"`
					SecurityContext struct {
						FSGroup *int64 `yaml:"fsGroup"`
					} `yaml:"securityContext"`
					Containers []struct {
						Args            []string
						Env             []struct{ Name, Value string }
						SecurityContext struct {
							RunAsUser int64 `yaml:"runAsUser"`
						} `yaml:"securityContext"`
					}
				}
			}
		}
	}
	if err := yaml.Unmarshal(text, &job); err != nil {
		t.Fatal(err)
	}
	pod := job.Spec.Template.Spec
	got := fmt.Sprintln(job.Kind, job.Spec.CompletionMode, pod.RestartPolicy, len(pod.Containers))
	expect(t, "job", got, "Job Indexed Never 1\n")
	c := pod.Containers[0]
	if group := pod.SecurityContext.FSGroup; group == nil || *group != c.SecurityContext.RunAsUser {
		t.Errorf("the results belong to group %v, and user %d writes them", group, c.SecurityContext.RunAsUser)
	}
	expect(t, "environment", fmt.Sprint(c.Env), fmt.Sprintf("[{%s %d}]", countVariable, job.Spec.Completions))
	model := loudness(t)
	folder(t, sounds(t, 40))
	done := 0
	for i := range job.Spec.Completions {
		t.Setenv(indexVariable, fmt.Sprint(i))
		t.Setenv(c.Env[0].Name, c.Env[0].Value)
		args := append([]string{"--model", model}, c.Args...)
		args[slices.Index(args, "/results")], args[slices.Index(args, "/recordings")] = "results", "rec"
		status, _, _ := classify(t, nil, args...)
		expect(t, "status", status, statusOK)
		done++
	}
	expect(t, "pods and results", []int{done, len(tree(t, "results"))}, []int{job.Spec.Parallelism, 40})
}
