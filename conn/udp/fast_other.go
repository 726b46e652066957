//go:build !linux && !windows

package udp

import "net"

// fastReads: nothing is read past package net.
const fastReads = false

// Other systems have one system call for each datagram.
type fast struct{ many bool }

type fastRead struct{}

func steer(*Socket, int) bool                { return false }
func newFast(net.PacketConn, Features) *fast { return nil }
func newFastRead(int) *fastRead              { return nil }

func (*fast) features() Features { return 0 }
func (*fast) segmentRefused()    {}

func (*fast) write(*Socket, []Message) (taken, refused int, err error) { return 0, 0, nil }

func (*fast) read(_ *Socket, _ *fastRead, msgs []Message) ([]Message, error) { return msgs, nil }

func (*fast) poll(_ *Socket, _ *fastRead, msgs []Message) ([]Message, error) { return msgs, nil }
