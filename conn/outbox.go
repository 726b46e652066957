package conn

// outbox collects what several sessions of a shard have to send: those of one batch that was read, of one turn of
// the wheel, or of one Flush of an endpoint. Each system call then takes the datagrams of many. Whoever opens one
// goes through the sessions at once and closes it: nothing waits in it for longer than that takes. The sessions in
// it count as sending, so that what others want them to send meanwhile follows.
type outbox struct {
	shard *shard
	batch *batch // nil: nothing was taken yet
}

// parcel is what one session has in an outbox.
type parcel struct {
	session  *Session
	from, to int // of the batch's datagrams
}

// take sends what a session has to send, with its lock held: it is written when the outbox is full or closed. The
// lock is given up in between where something is written or told at once.
func (o *outbox) take(s *Session) {
	s.letGo()
	switch {
	case s.flushing:
		s.again = true
		return
	case s.shard != o.shard:
		s.flush()
		return
	}
	if o.batch == nil {
		o.batch = newBatch()
	}
	s.flushing, s.again = true, false
	b := o.batch
	from := len(b.msgs)
	more := b.fill(s.now(), s.core)
	s.deliver()
	s.tellFates()
	if len(b.msgs) == from && !more && !s.again {
		s.sent()
		return
	}
	s.again = s.again || more
	b.parcels = append(b.parcels, parcel{s, from, len(b.msgs)})
	if more {
		s.mu.Unlock()
		o.write()
		s.mu.Lock()
	}
}

// write writes what was collected. Sessions that have more to send do so themselves.
func (o *outbox) write() {
	b := o.batch
	o.shard.write(b)
	for i := range b.parcels {
		b.parcels[i].written(b)
	}
	b.reset()
}

// written ends the sending of one session.
func (p *parcel) written(b *batch) {
	s := p.session
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tooBig(b.msgs[p.from:p.to])
	if s.again {
		s.flushing = false
		s.flush()
		return
	}
	s.sent()
}

// close writes what is left.
func (o *outbox) close() {
	if o.batch == nil {
		return
	}
	o.write()
	o.batch.free()
	o.batch = nil
}
