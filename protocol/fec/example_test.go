package fec_test

import (
	"fmt"

	"github.com/godwit-net/godwit/protocol/fec"
	"github.com/godwit-net/godwit/protocol/wire"
)

// What a session does with both ends: number the packets that are covered, send a symbol when it pays,
// and treat what comes back as a packet that arrived.
func Example() {
	var sender fec.Encoder
	var receiver fec.Decoder

	for number := uint64(500); number < 505; number++ {
		frames := fmt.Appendf(nil, "frames of packet %d", number)
		head := wire.AppendVarint(wire.AppendVarint(nil, 0), number) // path and packet number
		packet := wire.Source{Sequence: sender.Next()}.Append(nil)   // opens the packet
		sequence := sender.Add(head, frames)
		packet = append(packet, frames...)
		if number != 502 { // it is lost
			receiver.AddSource(sequence, head, packet[3:])
		}
	}

	// Covering less than is held leaves room for packets that overtake the symbol.
	first, held := sender.Held()
	count := uint8(min(held, 48))
	first += uint16(held) - uint16(count)
	r := wire.Repair{First: first, Count: count, Seed: sender.NextSeed()}
	if sender.Size(first, count) <= 1200 { // what is left in the packet
		r.Data = sender.AppendSymbol(nil, first, count, r.Seed)
	}

	fmt.Println("symbol:", receiver.AddSymbol(r.First, r.Count, r.Seed, r.Data))
	for {
		_, content, ok := receiver.Next()
		if !ok {
			break
		}
		_, n := wire.ConsumeVarint(content)
		number, m := wire.ConsumeVarint(content[n:])
		fmt.Printf("packet %d: %s\n", number, content[n+m:])
	}
	// Output:
	// symbol: taken
	// packet 502: frames of packet 502
}
