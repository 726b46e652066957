package realtime

import (
	"time"

	"github.com/godwit-net/godwit/protocol"
	"github.com/godwit-net/godwit/protocol/wire"
)

// group is a part of the grid, with what it measures and the columns of its table.
type group struct {
	name, about string
	columns     []string
	make        func() []Scenario
}

var groups = []group{
	{
		"message", "64 B, 60 Hz, reliable ordered; from the write of a message to its read, in order",
		[]string{P50, P99, P999, Packets, Bytes, Reverse, Needless}, messageTable,
	},
	{
		"message2", "the same with MessageOptions.Twice: one more packet 3 ms after each message",
		[]string{P50, P99, P999, Packets, Bytes, Reverse, Needless}, twiceTable,
	},
	{
		"media", "6 Mbit/s, 60 frames/s, 10 messages of 1250 B a frame, deadline 150 ms; from the write of a frame to the read of its last message",
		[]string{FrameP50, FrameP99, FrameP999, P99, P999, Missing, Overhead}, mediaTable,
	},
	{
		"budget", "4 Mbit/s in paced datagrams of 1316 B, round trip 100 ms, deadline in round trips beyond the way; residual: not read by the deadline",
		[]string{Residual, Overhead, P50, P99, P999}, budgetTable,
	},
	{
		"worldload", "3 MB on a stream beside message; moved: p99 during transfers less p99 without them",
		[]string{Moved, P50, P99, P999}, worldloadTable,
	},
	{
		"snapshot", "300 to 1200 B, 30 Hz, sequenced: lost ones stay lost, and are in no time",
		[]string{P50, P99, P999, Missing, Overhead, Reverse}, snapshotTable,
	},
	{
		"start", "the first two seconds of messages in 200 sessions; those with a key frame, and voice with goal economy, begin two seconds after the handshake",
		[]string{P99, P999, FrameP99, FrameP999, Missing}, startTable,
	},
	{
		"jitter", "links that reorder and lose nothing; needless: packets declared lost that had arrived",
		[]string{Needless, P99, FrameP99, Missing, Overhead}, jitterTable,
	},
	{
		"cost", "links without loss",
		[]string{Overhead, Packets, Bytes, Reverse}, costTable,
	},
	{
		"congested", "media where loss comes with delay, or from a policer: more repair would make it worse",
		[]string{FrameP50, FrameP99, FrameP999, Missing, Overhead, Lost}, congestedTable,
	},
	{
		"stream", "a million datagrams, round trip 100 ms, 5 % loss both ways, deadline 150 ms; residual: not read by the deadline",
		[]string{Residual, Missing, Overhead, Carried, P50, P99, P999}, streamTable,
	},
}

// Grid returns all scenarios.
func Grid() []Scenario {
	var grid []Scenario
	for _, g := range groups {
		for _, s := range g.make() {
			s.Group = g.name
			grid = append(grid, s)
		}
	}
	return grid
}

// tailSamples are enough for a p99.9: a hundred values are beyond it.
const tailSamples = 100_000

// atMost are bounds of several metrics, in the order metric, bound, metric, bound.
func atMost(metrics []string, bounds ...float64) (list []Target) {
	for i, b := range bounds {
		list = append(list, Target{Metric: metrics[i], Max: b})
	}
	return list
}

// message is 64 B, 60 times a second, reliable ordered.
func message() Load {
	return Load{
		Options: protocol.MessageOptions{Mode: wire.ReliableOrdered},
		Size:    64, Every: time.Second / 60,
	}
}

// messageP50 is the p50 in ms to ask of messages on all links.
const messageP50 = 26

// overLink is messages over a link, with bounds of p50, p99, p99.9, packets and bytes a message.
func overLink(name string, load Load) func(link string, bounds ...float64) Scenario {
	metrics := []string{P50, P99, P999, Packets, Bytes}
	return func(link string, bounds ...float64) Scenario {
		return Scenario{
			Name: name + " " + link, Link: link, Load: load, Samples: tailSamples,
			Targets: atMost(metrics, bounds...),
		}
	}
}

// messageTable has the targets of "1.0 packet a message".
func messageTable() []Scenario {
	scenario := overLink("message", message())
	return []Scenario{
		scenario("clean", messageP50),
		scenario("loss1", messageP50, 28, 45, 1.05),
		scenario("loss5", messageP50, 45, 62, 1.05, 300),
		scenario("loss10", messageP50, 45, 78, 1.05, 360),
		scenario("loss20", messageP50, 62, 95, 1.05),
		scenario("wifi", messageP50, 62, 95, 1.3),
		scenario("handover", messageP50, 112, 262, 1.3),
	}
}

// twiceTable has the targets of "2.0 packets a message".
func twiceTable() []Scenario {
	const packets, worst = 2.05, 2.3 // a message
	load := message()
	load.Options.Twice = true
	scenario := overLink("message2", load)
	return []Scenario{
		scenario("loss1", messageP50, 28, 33, packets),
		scenario("loss5", messageP50, 33, 45, packets),
		scenario("loss10", messageP50, 33, 45, packets),
		scenario("loss20", messageP50, 45, 62, packets),
		scenario("wifi", messageP50, 50, 78, worst),
		scenario("handover", messageP50, 100, 245, worst),
	}
}

// media is 6 Mbit/s in 60 frames a second, each 10 messages of 1250 B at once.
func media() Load {
	return Load{
		Options: protocol.MessageOptions{Mode: wire.ReliableOrdered, Deadline: 150 * time.Millisecond},
		Size:    1250, Frame: 10, Every: time.Second / 60,
	}
}

func mediaTable() []Scenario {
	const samples = 10 * tailSamples // ten a frame
	scenario := func(link string, bounds ...float64) Scenario {
		return Scenario{
			Name: "media " + link, Link: link, Load: media(), Samples: samples, Cap: int(bounds[2]),
			Targets: atMost([]string{FrameP99, FrameP999, Overhead}, bounds...),
		}
	}
	return []Scenario{
		scenario("loss1", 30, 30, 21),
		scenario("loss5", 31, 48, 36),
		scenario("loss10", 48, 78, 41),
		scenario("loss20", 80, 97, 52),
		scenario("wifi", 113, 147, 36),
	}
}

// budget is a rate of paced datagrams with a deadline in round trips of 100 ms.
func budget(size int, rate float64, trips float64) Load {
	return Load{
		Options: protocol.MessageOptions{
			Mode:     wire.ReliableOrdered,
			Deadline: time.Duration(trips * float64(100*time.Millisecond)),
		},
		Size: size, Every: time.Duration(float64(8*size) / rate * float64(time.Second)),
	}
}

// economic is a load with the goal to meet its deadline at the lowest cost.
func economic(l Load) Load {
	l.Options.Goal = protocol.Economy
	return l
}

func budgetTable() []Scenario {
	scenario := func(name, link string, trips, residual, overhead float64) Scenario {
		return Scenario{
			Name: "budget " + name, Link: "delay=50ms," + link, Load: economic(budget(1316, 4_000_000, trips)),
			Cap: int(overhead), Samples: 2 * tailSamples,
			Targets: atMost([]string{Residual, Overhead}, residual, overhead),
		}
	}
	return []Scenario{
		scenario("loss 1 %, 1.2 RTT", "loss=1%", 1.2, 1e-5, 5),
		scenario("loss 5 %, 1.5 RTT", "loss=5%", 1.5, 1e-4, 20),
		scenario("loss 10 %, 2.5 RTT", "loss=10%", 2.5, 1e-4, 25),
		scenario("loss 20 %, 4 RTT", "loss=20%", 4, 2e-4, 40),
		// A datagram every 2.6 ms: bursts that begin have 5 on average, and 5 % of all are lost.
		scenario("bursts of 5, 3 RTT", "good=224ms,bad=11.8ms,badloss=100%", 3, 2e-4, 15),
		scenario("loss 5 %, 0.6 RTT", "loss=5%", 0.6, 1e-3, 30),
	}
}

func worldloadTable() []Scenario {
	const bytes, moved = 3_000_000, 5
	scenario := func(name, link string) Scenario {
		return Scenario{
			Name: "worldload " + name, Link: link, Load: message(), Transfer: bytes, Samples: tailSamples / 10,
			Targets: []Target{{Moved, moved}},
		}
	}
	return []Scenario{
		scenario("clean", "clean"),
		scenario("loss5", "loss5"),
		scenario("wifi", "wifi"),
		scenario("dsl", "dsl"),
		scenario("dsl 0.25 BDP", "dsl,queue=0.25bdp"),
		scenario("dsl 4 BDP", "dsl,queue=4bdp"),
		scenario("dsl loss 1 %", "dsl,loss=1%"),
		scenario("dsl loss 5 %", "dsl,loss=5%"),
		scenario("20 Mbit/s loss5", "loss5,rate=20mbit"),
		scenario("20 Mbit/s wifi", "wifi,rate=20mbit"),
	}
}

func snapshotTable() []Scenario {
	var list []Scenario
	for _, link := range []string{"clean", "loss1", "loss5", "loss10", "wifi", "jitter10"} {
		list = append(list, Scenario{
			Name: "snapshot " + link, Link: link, Samples: tailSamples,
			Load: Load{
				Options: protocol.MessageOptions{Mode: wire.Sequenced},
				Size:    300, MaxSize: 1200, Every: time.Second / 30,
			},
		})
	}
	return list
}

// startTable has no targets: nothing is known of the path yet.
func startTable() []Scenario {
	const starts, long = 200, 2 * time.Second
	scenario := func(name, link string, load Load) Scenario {
		samples := int(load.perSecond() * long.Seconds())
		return Scenario{Name: "start " + name, Link: link, Load: load, Samples: samples, Starts: starts}
	}
	later := func(name string, load Load) Scenario { // as through a tunnel that stands
		s := scenario(name, streamLink, load)
		s.Pause = long
		return s
	}
	return []Scenario{
		scenario("message loss5", "loss5", message()),
		scenario("media loss5", "loss5", media()),
		scenario("media clean", "clean", media()),
		scenario("MPEG-TS", streamLink, budget(1316, 5_000_000, 1.5)),
		scenario("RTP video", streamLink, video()),
		scenario("voice", streamLink, voice()),
		later("key frame", picture()),
		later("key frame, economy", economic(picture())),
		later("voice, economy", economic(voice())),
	}
}

func jitterTable() []Scenario {
	scenario := func(name, link string, load Load, needless float64) Scenario {
		return Scenario{
			Name: name + " " + link, Link: link, Load: load, Samples: tailSamples, Targets: []Target{{Needless, needless}},
		}
	}
	return []Scenario{
		scenario("message", "jitter2", message(), 0.5),
		scenario("message", "jitter10", message(), 2),
		scenario("media", "jitter2", media(), 0.5),
		scenario("media", "jitter10", media(), 2),
	}
}

func costTable() []Scenario {
	scenario := func(name, link string, load Load) Scenario {
		return Scenario{
			Name: "cost " + name, Link: link, Load: load, Samples: tailSamples / 2, Targets: []Target{{Overhead, 1}},
		}
	}
	return []Scenario{
		scenario("message clean", "clean", message()),
		scenario("media clean", "clean", media()),
		scenario("media dsl", "dsl", media()),
		scenario("budget 0.6 RTT", "delay=50ms", budget(1316, 4_000_000, 0.6)),
		scenario("voice", "delay=50ms", voice()),
	}
}

func congestedTable() []Scenario {
	scenario := func(name, link string) Scenario {
		return Scenario{Name: "media " + name, Link: link, Load: media(), Samples: tailSamples}
	}
	return []Scenario{
		scenario("8 Mbit/s loss5", "loss5,rate=8mbit,queue=4bdp"),
		scenario("7 Mbit/s loss5", "loss5,rate=7mbit,queue=4bdp"),
		scenario("7 Mbit/s", "clean,rate=7mbit,queue=4bdp"),
		scenario("policer 7 Mbit/s", "policer,police=7mbit"),
	}
}

// streamLink has a round trip of 100 ms and 5 % loss both ways.
const streamLink = "delay=50ms,loss=5%"

// million is how many datagrams show a loss of 1e-4.
const million = 1_000_000

func streamTable() []Scenario {
	scenario := func(name string, load Load) Scenario {
		return Scenario{
			Name: "stream " + name, Link: streamLink, Load: load, Samples: million, Seeds: 1,
			Targets: []Target{{Residual, 1e-4}},
		}
	}
	return []Scenario{
		scenario("MPEG-TS", budget(1316, 5_000_000, 1.5)),
		scenario("RTP video", video()),
		scenario("voice", voice()),
		scenario("voice, economy", economic(voice())),
	}
}

// video is 4 Mbit/s as RTP carries it: 30 frames a second of 4 to 24 packets, at once.
func video() Load {
	return Load{
		Options: protocol.MessageOptions{Mode: wire.ReliableOrdered, Deadline: 150 * time.Millisecond},
		Size:    1000, MaxSize: 1200, Frame: 4, MaxFrame: 24, Every: time.Second / 30,
	}
}

// picture is video of 4.8 Mbit/s as an encoder writes it: 30 frames a second, of which the first, a key frame, has 120 kB.
func picture() Load {
	return Load{
		Options: protocol.MessageOptions{Mode: wire.ReliableOrdered, Deadline: 150 * time.Millisecond},
		Size:    1316, Frame: 8, MaxFrame: 20, First: 90, Every: time.Second / 30,
	}
}

// voice is Opus in packets of 20 ms.
func voice() Load {
	return Load{
		Options: protocol.MessageOptions{Mode: wire.ReliableOrdered, Deadline: 150 * time.Millisecond},
		Size:    80, MaxSize: 160, Every: 20 * time.Millisecond,
	}
}
