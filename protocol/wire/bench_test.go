package wire

import "testing"

func BenchmarkParseStream(b *testing.B) {
	frame := StreamFrame{ID: 4, Offset: 1 << 20, Data: make([]byte, 1100)}.Append(nil)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		typ, n := ConsumeFrameType(frame)
		if _, m := ParseStream(typ, frame[n:]); m < 0 {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendStreamHeader(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		AppendStreamHeader(buf, 4, 1<<20, 1100, false, true)
	}
}

func benchmarkParseAck(b *testing.B, ranges int) {
	list := make([]Range, ranges)
	for i := range list {
		list[i] = Range{uint64(100000 + 10*i), uint64(100000 + 10*i + 7)}
	}
	frame := AppendAck(nil, 0, 250, list, AckExtras{HasECN: true, ECN: ECNCounts{ECT0: 12345}})
	b.ReportAllocs()
	for b.Loop() {
		typ, n := ConsumeFrameType(frame)
		a, m := ParseAck(typ, frame[n:])
		if m < 0 || walk(a.Ranges()) != ranges {
			b.Fatal("refused")
		}
	}
}

func BenchmarkParseAckOneRange(b *testing.B)    { benchmarkParseAck(b, 1) }
func BenchmarkParseAckThreeRanges(b *testing.B) { benchmarkParseAck(b, 3) }
func BenchmarkParseAckAllRanges(b *testing.B)   { benchmarkParseAck(b, MaxAckRanges) }

func BenchmarkAppendAckThreeRanges(b *testing.B) {
	buf := make([]byte, 0, 64)
	list := []Range{{1, 20}, {30, 31}, {1000, 2000}}
	b.ReportAllocs()
	for b.Loop() {
		AppendAck(buf, 0, 250, list, AckExtras{})
	}
}

func BenchmarkParseLong(b *testing.B) {
	header := longCases[0].header.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseLong(header); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseShort(b *testing.B) {
	packet := append(AppendShort(nil, id8a, 1, 2, false), make([]byte, 1180)...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseShort(packet, 8); err != nil {
			b.Fatal(err)
		}
	}
}
