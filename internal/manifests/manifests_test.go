// Package manifests checks the examples of operation with the types and parsers of the programs that read them.
package manifests

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const examples = "../../examples"

// kinds are the types of the objects in the manifests.
var kinds = map[string]func() any{
	"Deployment":              func() any { return new(apps.Deployment) },
	"HorizontalPodAutoscaler": func() any { return new(autoscaling.HorizontalPodAutoscaler) },
	"Job":                     func() any { return new(batch.Job) },
	"PodDisruptionBudget":     func() any { return new(policy.PodDisruptionBudget) },
	"Service":                 func() any { return new(core.Service) },
}

// objects returns the objects of a manifest, by their kinds. A field that Kubernetes does not have is an error.
func objects(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(examples, name))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var head struct{ Kind, APIVersion string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil || kinds[head.Kind] == nil {
			t.Fatalf("%s: %v, kind %q", name, err, head.Kind)
		}
		object := kinds[head.Kind]()
		if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
			t.Errorf("%s: %s: %v", name, head.Kind, err)
		}
		found[head.Kind] = object
	}
	return found
}

func TestKubernetes(t *testing.T) {
	if job := objects(t, "kubernetes-job.yaml")["Job"].(*batch.Job); *job.Spec.Completions != 8 {
		t.Errorf("%d completions", *job.Spec.Completions)
	}
	found := objects(t, "service/kubernetes.yaml")
	if len(found) != 4 {
		t.Fatalf("%d objects", len(found))
	}
	d := found["Deployment"].(*apps.Deployment)
	pod := d.Spec.Template
	labels := pod.Labels["app.kubernetes.io/name"]
	budget := found["PodDisruptionBudget"].(*policy.PodDisruptionBudget)
	scaler := found["HorizontalPodAutoscaler"].(*autoscaling.HorizontalPodAutoscaler)
	for what, got := range map[string]string{
		"the deployment's selector": d.Spec.Selector.MatchLabels["app.kubernetes.io/name"],
		"the service's":             found["Service"].(*core.Service).Spec.Selector["app.kubernetes.io/name"],
		"the budget's":              budget.Spec.Selector.MatchLabels["app.kubernetes.io/name"],
		"the autoscaler's target":   scaler.Spec.ScaleTargetRef.Name,
	} {
		if got != labels {
			t.Errorf("%s is %q, the pods are %q", what, got, labels)
		}
	}
	c := pod.Spec.Containers[0]
	ports := map[string]bool{}
	for _, p := range c.Ports {
		ports[p.Name] = true
	}
	for what, p := range map[string]*core.Probe{
		"startup": c.StartupProbe, "readiness": c.ReadinessProbe, "liveness": c.LivenessProbe,
	} {
		if p == nil || p.HTTPGet == nil || !ports[p.HTTPGet.Port.StrVal] {
			t.Errorf("%s probe: %+v", what, p)
		}
	}
	if s := found["Service"].(*core.Service).Spec.Ports[0]; !ports[s.TargetPort.StrVal] {
		t.Errorf("the service's port: %+v", s)
	}
	if d.Spec.Replicas != nil || scaler.Spec.MaxReplicas <= *scaler.Spec.MinReplicas {
		t.Error("who says how many pods there are?")
	}
}

func TestContainerfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(examples, "service", "Containerfile"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	warn := func(rule, description, _, text string, _ []parser.Range) {
		t.Errorf("%s: %s (%s)", rule, text, description)
	}
	stages, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{Warn: warn}))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("warning: %s", w.Short)
	}
	if last := stages[len(stages)-1]; last.BaseName != "scratch" {
		t.Errorf("the image is made from %s", last.BaseName)
	}
}
