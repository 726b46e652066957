package wire

// cursor reads fields one after the other and remembers failure, so that a parser checks once, at its
// end. After the first failure every read returns zero.
type cursor struct {
	b   []byte // what is left
	len int    // what there was
	bad bool
}

func newCursor(b []byte) cursor { return cursor{b: b, len: len(b)} }

// consumed returns the number of bytes read, or -1 after a failure.
func (c *cursor) consumed() int {
	if c.bad {
		return -1 // spec: WIRE-15
	}
	return c.len - len(c.b)
}

func (c *cursor) fail() {
	c.bad = true
	c.b = nil
}

// require marks the input as bad when a rule of the layout does not hold.
func (c *cursor) require(ok bool) {
	if !ok {
		c.fail()
	}
}

func (c *cursor) varint() uint64 {
	v, n := ConsumeVarint(c.b)
	if n < 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

// varintMax reads a variable-length integer that must not exceed limit.
func (c *cursor) varintMax(limit uint64) uint64 {
	v := c.varint()
	if v > limit {
		c.fail()
		return 0
	}
	return v
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uint16() uint16 {
	v := c.bytes(2)
	if v == nil {
		return 0
	}
	return uint16(v[0])<<8 | uint16(v[1])
}

// bytes returns a view of the next n bytes, never nil on success unless n is 0.
func (c *cursor) bytes(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.fail()
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// counted reads a length of at most limit and then that many bytes.
func (c *cursor) counted(limit uint64) []byte {
	n := c.varint()
	if n > limit || n > uint64(len(c.b)) {
		c.fail()
		return nil
	}
	return c.bytes(int(n))
}

// rest takes everything that is left.
func (c *cursor) rest() []byte { return c.bytes(len(c.b)) }
