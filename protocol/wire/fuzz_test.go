package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// addFrames seeds a fuzz target with the good and the bad frames, without the first strip bytes.
func addFrames(f *testing.F, strip int, wanted func(FrameType) bool) {
	add := func(s string) {
		b := unhex(f, s)
		if typ, n := ConsumeFrameType(b); n > 0 && wanted(typ) {
			f.Add(b[strip:])
		}
	}
	for _, c := range frameCases() {
		add(c.hex)
	}
	for _, c := range badFrames() {
		add(c.hex)
	}
}

func anyType(FrameType) bool { return true }

// requireStable checks that what a parser accepted survives being appended and parsed again.
func requireStable(t *testing.T, f Frame) {
	t.Helper()
	b := f.Append(nil)
	again, n := ParseFrame(b)
	require.Equal(t, len(b), n)
	require.Equal(t, f.String(), again.String())
	require.Equal(t, b, again.Append(nil))
}

func FuzzFrame(f *testing.F) {
	addFrames(f, 0, anyType)
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, n := ParseFrame(b)
		require.Equal(t, n, skipOne(b), "both ways of parsing agree")
		if n < 0 {
			return
		}
		require.LessOrEqual(t, n, len(b))
		require.Positive(t, n)
		requireStable(t, frame)
	})
}

func FuzzAck(f *testing.F) {
	addFrames(f, 1, FrameType.IsAck)
	f.Fuzz(func(t *testing.T, b []byte) {
		for typ := FrameAck; typ <= FrameAckECNStamp; typ++ {
			a, n := ParseAck(typ, b)
			if n < 0 {
				continue
			}
			previous, count := uint64(MaxPacketNumber+3), 0
			ranges := a.Ranges()
			for r, ok := ranges.Next(); ok; r, ok = ranges.Next() {
				require.Less(t, r.Start, r.End)
				require.Less(t, r.End, previous, "a number lies between two ranges")
				previous = r.Start
				count++
			}
			require.Equal(t, a.Count+1, count)
			require.LessOrEqual(t, count, MaxAckRanges)
			require.GreaterOrEqual(t, a.Delay(), time.Duration(0))
			requireStable(t, a)
		}
	})
}

func FuzzStream(f *testing.F) {
	addFrames(f, 1, FrameType.IsStream)
	f.Fuzz(func(t *testing.T, b []byte) {
		for typ := FrameStream; typ <= FrameStreamMax; typ++ {
			s, n := ParseStream(typ, b)
			if n < 0 {
				continue
			}
			require.LessOrEqual(t, s.Offset+uint64(len(s.Data)), uint64(MaxVarint))
			require.LessOrEqual(t, n, len(b))
			header := AppendStreamHeader(nil, s.ID, s.Offset, len(s.Data), s.Fin, !s.ToEnd)
			require.Len(t, header, SizeStreamHeader(s.ID, s.Offset, len(s.Data), !s.ToEnd))
			requireStable(t, s)
		}
	})
}

func FuzzMessage(f *testing.F) {
	addFrames(f, 1, FrameType.IsMessage)
	f.Fuzz(func(t *testing.T, b []byte) {
		for typ := FrameMessage; typ <= FrameMessageMax; typ++ {
			m, n := ParseMessage(typ, b)
			if n < 0 {
				continue
			}
			require.Equal(t, typ, m.Type())
			requireStable(t, m)
		}
	})
}

func FuzzChannelReport(f *testing.F) {
	addFrames(f, 1, func(typ FrameType) bool { return typ == FrameChannelReport })
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, n := ParseChannelReport(b); n >= 0 {
			require.LessOrEqual(t, r.Channel, uint64(MaxChannel))
			requireStable(t, r)
		}
	})
}

func FuzzRepairReport(f *testing.F) {
	addFrames(f, 1, func(typ FrameType) bool { return typ == FrameRepairReport })
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n := ParseRepairReport(b)
		if n < 0 {
			return
		}
		require.Equal(t, r.Count, walk(r.Ranges()))
		requireStable(t, r)
	})
}

// FuzzPayload walks whole plaintexts as a session does: the cursor always advances, nothing allocates,
// and the text of every payload can be made.
func FuzzPayload(f *testing.F) {
	addFrames(f, 0, anyType)
	var all []byte
	for _, c := range frameCases() {
		if !endless(c.frame) {
			all = append(all, unhex(f, c.hex)...)
		}
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, b []byte) {
		var frames []Frame
		rest := b
		for len(rest) > 0 {
			frame, n := ParseFrame(rest)
			if n < 0 {
				break
			}
			require.Positive(t, n)
			frames = append(frames, frame)
			rest = rest[n:]
		}
		require.LessOrEqual(t, len(frames), len(b))
		require.Equal(t, len(b) == 0, FormatPayload(b) == "")

		var again []byte
		for _, frame := range frames {
			again = frame.Append(again)
		}
		for _, frame := range frames {
			got, n := ParseFrame(again)
			require.Positive(t, n)
			if _, ok := frame.(Padding); !ok { // two runs of padding become one
				require.Equal(t, frame.String(), got.String())
				again = again[n:]
			} else {
				again = again[frame.(Padding).N:]
			}
		}
	})
}

func FuzzLong(f *testing.F) {
	for _, c := range longCases {
		f.Add(unhex(f, c.hex))
	}
	for _, c := range badHeaders {
		f.Add(unhex(f, c.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		require.NotEmpty(t, FormatDatagram(b, 4))
		l, err := ParseLong(b)
		if err != nil {
			require.Zero(t, l)
			return
		}
		require.Equal(t, b[:l.BodyOffset], l.Append(nil), "there is one way to write a header")
		require.Equal(t, l.BodyOffset, l.Size())
	})
}

func FuzzShort(f *testing.F) {
	for _, c := range shortCases {
		f.Add(append(unhex(f, c.hex), make([]byte, 20)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, idLen := range []int{0, 4, 8} {
			s, err := ParseShort(b, idLen)
			if err != nil {
				continue
			}
			require.True(t, HasDestination(b, s.DCID))
			phase, pnLen := ShortBits(b[0])
			var truncated uint32
			for _, v := range b[s.PNOffset : s.PNOffset+pnLen] {
				truncated = truncated<<8 | uint32(v)
			}
			header := AppendShort(nil, s.DCID, uint64(truncated), pnLen, phase)
			require.Equal(t, b[:len(header)], header)
		}
		TrailingToken(b)
	})
}

func FuzzPacketNumber(f *testing.F) {
	for _, c := range decodeCases {
		f.Add(c.expected, c.truncated, c.length)
	}
	f.Fuzz(func(t *testing.T, expected uint64, truncated uint32, n int) {
		expected %= MaxPacketNumber + 2
		n = 1 + n&3
		mask := uint64(1)<<(8*n) - 1
		pn := DecodePacketNumber(expected, truncated, n)
		require.LessOrEqual(t, pn, uint64(MaxPacketNumber))
		require.Equal(t, uint64(truncated)&mask, pn&mask)
		if half := (mask + 1) / 2; expected > half && expected+half <= MaxPacketNumber {
			require.Greater(t, pn, expected-half)
			require.LessOrEqual(t, pn, expected+half)
		}
	})
}

func FuzzVersions(f *testing.F) {
	f.Add(AppendVersions(nil, Version1, 0x0a0a0a0a))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseVersions(b)
		if err != nil {
			return
		}
		require.NotEmpty(t, v.String())
		list := make([]uint32, v.Len())
		for i := range list {
			list[i] = v.At(i)
			require.True(t, v.Contains(list[i]))
		}
		require.Equal(t, b, AppendVersions(nil, list...))
	})
}

func FuzzParameters(f *testing.F) {
	for _, c := range paramCases {
		f.Add(unhex(f, c.hex))
	}
	for _, c := range badParamLists {
		f.Add(unhex(f, c.hex))
	}
	f.Add(AppendGreaseParameter(nil, 0x7_1234_5678))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseParameters(b)
		if err != nil {
			require.Zero(t, p)
			require.NotEmpty(t, err.Error())
			return
		}
		require.NoError(t, p.check())
		got, err := ParseParameters(p.Append(nil))
		require.NoError(t, err)
		require.Equal(t, p, got)
		require.NotEmpty(t, p.String())
	})
}
