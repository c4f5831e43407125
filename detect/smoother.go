package detect

// smoother averages probabilities over the last seconds. A decision's probabilities hold from the end of the previous
// decision to its own end, so the average is an integral over time and does not depend on how densely decisions come.
// Before the first decision, probabilities count as zero: the first windows of a stream are short and unreliable. Each
// average is summed anew from the few decisions that it covers, so no rounding accumulates over days.
type smoother struct {
	seconds float64
	spans   []span // that the average covers, the oldest first
	mean    []float64
}

// span is a decision and the time for which it holds.
type span struct {
	from, to float64
	p        []float64
}

// push adds the probabilities of from … to and returns the average over the seconds until to, until the next call.
func (s *smoother) push(from, to float64, p []float64) []float64 {
	var buffer []float64 // of a span that is no longer covered, if there is one
	old := 0
	for ; old < len(s.spans) && s.spans[old].to <= to-s.seconds; old++ {
		buffer = s.spans[old].p
	}
	buffer = append(buffer[:0], p...)
	s.spans = append(s.spans[:copy(s.spans, s.spans[old:])], span{from, to, buffer})
	if s.seconds == 0 {
		return buffer
	}
	clear(s.mean)
	for _, sp := range s.spans {
		weight := min((sp.to-max(sp.from, to-s.seconds))/s.seconds, 1)
		for i, v := range sp.p {
			s.mean[i] += weight * v
		}
	}
	for i, v := range s.mean {
		s.mean[i] = min(v, 1) // rounding
	}
	return s.mean
}
