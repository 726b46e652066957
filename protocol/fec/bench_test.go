package fec

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchContent is a packet of media of 1,250 bytes.
const benchContent = 1250

// benchWindows are the windows that are measured.
var benchWindows = []int{8, 16, 32, Window}

func BenchmarkAddSource(b *testing.B) {
	var e Encoder
	content := make([]byte, benchContent)
	b.SetBytes(benchContent)
	b.ReportAllocs()
	for b.Loop() {
		e.Add(content[:4], content[4:])
	}
}

// BenchmarkSymbol makes one symbol; the rate is that of the packets that it covers.
func BenchmarkSymbol(b *testing.B) {
	for _, window := range benchWindows {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) {
			var e Encoder
			for range window {
				e.Add(randomBytes(rand.New(rand.NewPCG(1, 1)), benchContent), nil)
			}
			first, count := e.Held()
			out := make([]byte, 0, MaxSymbol)
			b.SetBytes(int64(window * benchContent))
			b.ReportAllocs()
			for b.Loop() {
				out = e.AppendSymbol(out[:0], first, uint8(count), e.NextSeed())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*window), "ns/packet")
		})
	}
}

// BenchmarkReceive is all of a receiver's work on windows of which some packets were lost and come back:
// ns/packet counts those sent, ns/lost those recovered.
func BenchmarkReceive(b *testing.B) {
	for _, window := range benchWindows {
		for _, lost := range []int{0, 1, window / 8, window / 4} {
			if lost == 1 && window == 8 {
				continue // the same as an eighth
			}
			b.Run(fmt.Sprintf("window=%d/lost=%d", window, lost), func(b *testing.B) { benchmarkReceive(b, window, lost) })
		}
	}
}

func benchmarkReceive(b *testing.B, window, lost int) {
	rng := rand.New(rand.NewPCG(1, 1))
	var e Encoder
	var d Decoder
	contents := make([][]byte, window)
	for i := range contents {
		contents[i] = randomBytes(rng, benchContent)
		e.Add(contents[i], nil)
	}
	first, count := e.Held()
	missing := make([]bool, window)
	for _, i := range rng.Perm(window)[:lost] {
		missing[i] = true
	}
	symbols := make([][]byte, lost)
	b.SetBytes(int64(window * benchContent))
	b.ReportAllocs()
	for s := range symbols {
		symbols[s] = e.AppendSymbol(nil, first, uint8(count), uint8(s))
	}
	back := 0
	for b.Loop() {
		d.started, d.known, d.rows, d.fresh = false, 0, 0, 0 // as new, with its buffers
		for i, c := range contents {
			if !missing[i] {
				d.AddSource(first+uint16(i), c[:4], c[4:])
			}
		}
		for s, symbol := range symbols {
			d.AddSymbol(first, uint8(count), uint8(s), symbol)
		}
		for ok := true; ok; back++ {
			_, _, ok = d.Next()
		}
		back--
	}
	if back != lost*b.N {
		b.Fatalf("%d of %d came back", back, lost*b.N)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*window), "ns/packet")
	if lost > 0 {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(back), "ns/lost")
	}
}

// BenchmarkKernel is one vector operation of each kernel.
func BenchmarkKernel(b *testing.B) {
	in, out := make([]byte, benchContent), make([]byte, benchContent)
	for name, kernel := range map[string]func(byte, []byte, []byte){"used": mulAdd, "tables": mulAddTables} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchContent)
			for b.Loop() {
				kernel(0x8e, in, out)
			}
		})
	}
}
