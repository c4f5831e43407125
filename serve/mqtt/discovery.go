package mqtt

import (
	"context"
	"strings"
)

// discovery is what an entity of Home Assistant is configured by.
type discovery struct {
	Name              string   `json:"name"`
	UniqueID          string   `json:"unique_id"`
	StateTopic        string   `json:"state_topic"`
	EventTypes        []string `json:"event_types,omitempty"`
	ValueTemplate     string   `json:"value_template,omitempty"`
	AttributesTopic   string   `json:"json_attributes_topic,omitempty"`
	Icon              string   `json:"icon"`
	AvailabilityTopic string   `json:"availability_topic"`
	QoS               int      `json:"qos"`
	Device            device   `json:"device"`
	Origin            origin   `json:"origin"`
}

type device struct {
	Identifiers  []string `json:"identifiers"`
	Name         string   `json:"name"`
	Manufacturer string   `json:"manufacturer"`
	Software     string   `json:"sw_version,omitempty"`
}

type origin struct {
	Name     string `json:"name"`
	Software string `json:"sw_version,omitempty"`
	URL      string `json:"support_url"`
}

// root is where Home Assistant looks for entities unless it is configured otherwise.
const root = "homeassistant"

// announce describes to Home Assistant an event entity for each model, whose types are its words, and a sensor with the
// latest word, and says that p is online. Home Assistant ignores what it knows already.
func (p *Publisher) announce(ctx context.Context, s *session) error {
	here := device{[]string{p.id}, strings.ReplaceAll(p.prefix, "/", " "), "polyphon", p.config.Version}
	by := origin{"polyphon", p.config.Version, "https://github.com/polyphon/polyphon"}
	for _, m := range p.config.Models() {
		id, topic := p.id+"_"+identifier(m.Name), p.eventTopic(m.Name)
		entities := map[string]discovery{
			"event": {
				Name: m.Name + " event", UniqueID: id + "_event", EventTypes: m.Words, Icon: "mdi:ear-hearing",
			},
			"sensor": {
				Name: m.Name + " latest", UniqueID: id + "_latest", ValueTemplate: "{{ value_json.event_type }}",
				AttributesTopic: topic, Icon: "mdi:waveform",
			},
		}
		for component, e := range entities {
			e.StateTopic, e.AvailabilityTopic, e.QoS = topic, p.statusTopic(), atLeastOnce
			e.Device, e.Origin = here, by
			if err := s.publish(ctx, root+"/"+component+"/"+e.UniqueID+"/config", true, e); err != nil {
				return err
			}
		}
	}
	return s.publish(ctx, p.statusTopic(), true, "online")
}
