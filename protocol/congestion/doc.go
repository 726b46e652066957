// Package congestion decides how much a path may carry: it holds congestion controllers behind one
// small interface, and the delivery-rate sampler that feeds them.
//
// It is pure. It knows no packets, frames, sockets or clock: the sender's side of a path (package
// protocol) detects losses, groups them into episodes, takes samples, and tells a [Controller] in
// order what happened; the controller answers with a window in bytes and a rate in bytes a second.
//
// # Which one
//
//   - [NewAdaptive] is the default: it keeps its rate where packets are lost at random, and its queue short.
//   - [NewCubic] is CUBIC with HyStart++, what most of the Internet answers loss with.
//   - [NewBBR] is BBRv3.
//   - [NewPrague] is for paths with L4S queues, which mark packets as soon as a millisecond of queue
//     stands; elsewhere it is CUBIC.
//   - [NewFixed] sends at a rate whatever is lost, on a path where that rate is reserved. It has no name.
//
// A session takes a constructor in conn.Config.CongestionControl; [Named] finds one by its name.
//
// # One of your own
//
// Implement [Controller]: eight methods, most of them short. The example below is a whole controller, with
// the line that gives it to sessions and the lines that judge it.
//
// The transport has done much when a controller hears of it, see [Controller]. Three rules keep a simple one
// out of trouble. Back off where LossSample.Episode says so, and nowhere else: a round trip's losses are
// one sign of congestion. Do not grow where AckSample.Rate.AppLimited is set, or for RecoveryBytes. Start
// again from two datagrams where LossSample.Persistent is set.
//
// Implement [LossObserver] as well to hear of each lost packet, and [Marker] to answer CE marks by their
// part, or not at all.
//
// Then judge it: put it into Controllers of package bench/congestion and run scenarios as the example
// does, or the whole grid (bench/congestion.Command, which is what make congestion runs): loss, buffers, CUBIC as
// a rival, several flows, short and long round trips, policers, outages, reordering and marks.
package congestion
