package realtime

// Target is the most that a figure may be.
type Target struct {
	Metric string
	Max    float64
}

// Judge returns by how much a figure, as it is printed, is above the bound; 0: met.
func (t Target) Judge(r *Row) float64 {
	m := metric(t.Metric)
	return max(m.shown(r.Values[t.Metric].Typical)-m.shown(t.Max), 0)
}
