package bench

// messages is what one session, or several, of a run of messages gave.
type messages struct {
	options   *Options
	clock     clock
	near, far outcome // of the client and of the server
	transfers *histogram

	up, down direction // of several sessions
	took     *histogram
}

// direction is the messages of several sessions in one direction.
type direction struct {
	load                        *load
	sent, bytes, received, late int64
	messages, beside, whole     *histogram
	traffic                     traffic
}

func newMessages(o *Options) *messages {
	m := &messages{options: o, took: newHistogram()}
	m.up.load, m.down.load = o.loads()
	for _, d := range []*direction{&m.up, &m.down} {
		d.messages, d.beside, d.whole = newHistogram(), newHistogram(), newHistogram()
	}
	return m
}

// add adds one session.
func (m *messages) add(one *messages) {
	m.clock.bound = max(m.clock.bound, one.clock.bound)
	m.up.add(&one.near, &one.far)
	m.down.add(&one.far, &one.near)
	if one.transfers != nil {
		m.took.merge(one.transfers)
	}
}

// add adds what one session sent and what the other end heard of it.
func (d *direction) add(from, to *outcome) {
	d.sent += from.Sent
	d.bytes += from.SentBytes
	d.traffic.add(from.Traffic)
	d.received += to.Heard.Received
	d.late += to.Heard.Late
	d.messages.addBuckets(to.Heard.Buckets)
	d.beside.addBuckets(to.Heard.Beside)
	d.whole.addBuckets(to.Heard.Frames)
}

func (m *messages) results(shared bool) (*MessageResult, *WorldloadResult) {
	clock := "estimated"
	if shared {
		clock = "shared"
	}
	result := m.up.result()
	result.Clock, result.ClockErrorMS = clock, millis(m.clock.bound)
	if m.down.load != nil {
		result.Down = m.down.result()
		result.Down.Clock, result.Down.ClockErrorMS = clock, result.ClockErrorMS
	}
	if m.options.Workload != Worldload {
		return result, nil
	}
	world := &WorldloadResult{TransferBytes: worldBytes, Transfers: m.took.latency(), Alone: result.OneWay}
	result.OneWay = m.up.beside.latency()
	world.MovedMS = result.OneWay.P99MS - world.Alone.P99MS
	return result, world
}

func (d *direction) result() *MessageResult {
	l := d.load
	r := &MessageResult{
		Size: l.Size, MaxSize: max(l.Size, l.MaxSize), Hz: l.Hz, Frame: l.Frame, Mode: l.Mode.String(), DeadlineMS: float64(l.DeadlineMS),
		Sent: d.sent, SentBytes: d.bytes, Received: d.received, Missing: d.sent - d.received, Late: d.late,
		OneWay: d.messages.latency(), Wire: d.traffic.result(l, d.sent, d.bytes),
	}
	if l.Frame > 1 {
		frames := d.whole.latency()
		r.Frames = &frames
	}
	return r
}
