package handshake

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/godwit-net/godwit/spec/vectors"
)

// This file is chapter 2 of the specification a second time, written down as
// the text goes, with nothing from the package. It makes the vectors, and the
// package is held to them.

type hexBytes = vectors.Hex

// scenario is everything that goes into a handshake.
type scenario struct {
	Name            string   `json:"name"`
	Pattern         string   `json:"pattern"`
	ServerPrivate   hexBytes `json:"server_static_private,omitempty"` // absent: the group key of the PSK
	ClientPrivate   hexBytes `json:"client_static_private,omitempty"` // absent: anonymous
	PSK             hexBytes `json:"psk,omitempty"`
	ClientEphemeral hexBytes `json:"client_ephemeral_private"`
	ServerEphemeral hexBytes `json:"server_ephemeral_private"`
	KEMSeed         hexBytes `json:"kem_seed"`
	KEMRandom       hexBytes `json:"kem_encapsulation_randomness"`
	ClientGrease    hexBytes `json:"client_grease"`
	ServerGrease    hexBytes `json:"server_grease"`
	FinFlags        hexBytes `json:"fin_flags"`
	InitHeader      hexBytes `json:"init_header"`
	InitPayload     hexBytes `json:"init_payload"`
	RespHeader      hexBytes `json:"resp_header"`
	RespPayload     hexBytes `json:"resp_payload"`
	FinHeader       hexBytes `json:"fin_header"`
	RetryHeader     hexBytes `json:"retry_header,omitempty"` // absent: no RETRY
	Cookie          hexBytes `json:"cookie,omitempty"`
	RejectHeader    hexBytes `json:"reject_header"`
	RejectCode      uint16   `json:"reject_code"`
	RejectHint      string   `json:"reject_hint"`
}

// transcript is everything that comes out.
type transcript struct {
	Init            hexBytes `json:"init"`
	Retry           hexBytes `json:"retry,omitempty"`
	InitAgain       hexBytes `json:"init_with_cookie,omitempty"`
	Reject          hexBytes `json:"reject"`
	Resp1           hexBytes `json:"resp_1"`
	Resp2           hexBytes `json:"resp_2"`
	Fin             hexBytes `json:"fin"`
	ServerPublic    hexBytes `json:"server_static_public"`
	InitHash        hexBytes `json:"init_hash"`
	Mac1Key         hexBytes `json:"mac1_key"`
	RetryKey        hexBytes `json:"retry_key"`
	ES              hexBytes `json:"es"`
	K1              hexBytes `json:"k1"`
	FragKey         hexBytes `json:"frag_key"`
	RejectKey       hexBytes `json:"reject_key"`
	EE              hexBytes `json:"ee"`
	K2              hexBytes `json:"k2"`
	KEMKey          hexBytes `json:"kem_encapsulation_key"`
	KEMText         hexBytes `json:"kem_ciphertext"`
	KEMSecret       hexBytes `json:"kem_secret"`
	K3              hexBytes `json:"k3"`
	SE              hexBytes `json:"se"`
	K4              hexBytes `json:"k4"`
	Confirm         hexBytes `json:"confirm"`
	Master          hexBytes `json:"master"`
	ClientSecret    hexBytes `json:"client_secret"`
	ServerSecret    hexBytes `json:"server_secret"`
	Exporter        hexBytes `json:"exporter_secret"`
	Resumption      hexBytes `json:"resumption_secret"`
	ChannelBinding  hexBytes `json:"channel_binding"`
	ClientPublicKey hexBytes `json:"client_static_public,omitempty"`
}

// step is one operation on the state, and the state after it.
type step struct {
	What  string   `json:"what"`
	Op    string   `json:"op"`
	Input hexBytes `json:"input"`
	CK    hexBytes `json:"ck"`
	H     hexBytes `json:"h"`
	K     hexBytes `json:"k,omitempty"`
	N     uint64   `json:"n"`
}

type refState struct {
	ck, h, k []byte
	n        uint64
	steps    []step
}

func sum(parts ...[]byte) []byte {
	d := sha256.New()
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

func refMAC(key []byte, parts ...[]byte) []byte {
	d := hmac.New(sha256.New, key)
	for _, p := range parts {
		d.Write(p)
	}
	return d.Sum(nil)
}

// refHKDF is HKDF as the Noise specification writes it out.
func refHKDF(ck, input []byte) (out1, out2, out3 []byte) {
	temp := refMAC(ck, input)
	out1 = refMAC(temp, []byte{1})
	out2 = refMAC(temp, out1, []byte{2})
	out3 = refMAC(temp, out2, []byte{3})
	return out1, out2, out3
}

// refLabel is HKDF-Expand-Label of RFC 8446 with this protocol's prefix.
func refLabel(secret []byte, label string, context []byte) []byte {
	full := "godwit1 " + label
	info := []byte{0, 32, byte(len(full))}
	info = append(info, full...)
	info = append(info, byte(len(context)))
	info = append(info, context...)
	out, err := hkdf.Expand(sha256.New, secret, string(info), 32)
	must(err)
	return out
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *refState) note(what, op string, input []byte) {
	s.steps = append(s.steps, step{
		What: what, Op: op, Input: append([]byte(nil), input...),
		CK: s.ck, H: s.h, K: s.k, N: s.n,
	})
}

func (s *refState) mixHash(what string, data []byte) {
	s.h = sum(s.h, data)
	s.note(what, "MixHash", data)
}

func (s *refState) mixKey(what string, input []byte) {
	s.ck, s.k, _ = refHKDF(s.ck, input)
	s.n = 0
	s.note(what, "MixKey", input)
}

func (s *refState) mixKeyAndHash(what string, input []byte) {
	ck, h, k := refHKDF(s.ck, input)
	s.ck, s.k, s.n = ck, k, 0
	s.h = sum(s.h, h)
	s.note(what, "MixKeyAndHash", input)
}

func (s *refState) seal(what string, text []byte) []byte {
	a, err := chacha20poly1305.New(s.k)
	must(err)
	nonce := binary.LittleEndian.AppendUint64(make([]byte, 4, 12), s.n)
	out := a.Seal(nil, nonce, text, s.h)
	s.n++
	s.h = sum(s.h, out)
	s.note(what, "EncryptAndHash", text)
	return out
}

func refKey(b []byte) *ecdh.PrivateKey {
	k, err := ecdh.X25519().NewPrivateKey(b)
	must(err)
	return k
}

func refECDH(private, public []byte) []byte {
	p, err := ecdh.X25519().NewPublicKey(public)
	must(err)
	out, err := refKey(private).ECDH(p)
	must(err)
	return out
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// reference runs a scenario through the text of the chapter.
func reference(sc *scenario) (*transcript, []step) {
	tr := &transcript{}
	s := &refState{}

	serverPrivate := []byte(sc.ServerPrivate)
	if serverPrivate == nil {
		var err error
		serverPrivate, err = hkdf.Key(sha256.New, []byte(sc.PSK), nil, "godwit group key", 32)
		must(err)
	}
	tr.ServerPublic = refKey(serverPrivate).PublicKey().Bytes()
	psk, token := make([]byte, 32), []byte{0, 0, 0}
	if sc.PSK != nil {
		psk = sc.PSK
		token = join([]byte{1, 0, 8}, sum([]byte("pskid"), psk)[:8])
	}

	// Before the first message.
	s.h = sum([]byte("Godwit1_XKpsk0-NKpsk0+rkem_25519+MLKEM768_ChaChaPoly_SHA256"))
	s.ck = s.h
	s.note("protocol name", "Initialize", []byte("Godwit1_XKpsk0-NKpsk0+rkem_25519+MLKEM768_ChaChaPoly_SHA256"))
	s.mixHash("prologue", join([]byte("GODWIT"), sc.InitHeader[1:5], []byte("client server")))
	s.mixHash("S", tr.ServerPublic)

	// INIT
	open := join(sc.InitHeader, token)
	ec := refKey(sc.ClientEphemeral).PublicKey().Bytes()
	s.mixHash("INIT header and token", open)
	s.mixKeyAndHash("psk", psk)
	s.mixHash("e_c", ec)
	s.mixKey("e_c", ec)
	tr.ES = refECDH(serverPrivate, ec)
	s.mixKey("es", tr.ES)
	tr.K1 = s.k
	sealed := s.seal("INIT payload", sc.InitPayload)
	tr.FragKey = refLabel(s.ck, "frag", s.h)
	tr.RejectKey = refLabel(s.ck, "reject", s.h)

	body := join(open, ec, sealed)
	tr.InitHash = sum(body)
	tr.Mac1Key = sum([]byte("mac1"), tr.ServerPublic, sc.PSK)
	withCookie := func(cookie []byte) []byte {
		return join(body, cookie, refMAC(tr.Mac1Key, tr.InitHash, cookie)[:16])
	}
	tr.Init = withCookie(make([]byte, 32))

	// RETRY and REJECT, which leave no trace in the state.
	tr.RetryKey = sum([]byte("retry"), tr.ServerPublic)
	if sc.Cookie != nil {
		retry := join(sc.RetryHeader, sc.Cookie)
		tr.Retry = join(retry, refMAC(tr.RetryKey, tr.Init[1184:], retry)[:16])
		tr.InitAgain = withCookie(sc.Cookie)
	}
	reject := join(sc.RejectHeader, be16(int(sc.RejectCode)), []byte{byte(len(sc.RejectHint))}, []byte(sc.RejectHint))
	tr.Reject = join(reject, refMAC(tr.RejectKey, reject)[:16])

	// RESP
	kem, err := mlkem.NewDecapsulationKey768(sc.KEMSeed)
	must(err)
	tr.KEMKey = kem.EncapsulationKey().Bytes()
	es := refKey(sc.ServerEphemeral).PublicKey().Bytes()
	s.mixHash("RESP header", sc.RespHeader)
	s.mixHash("e_s", es)
	s.mixKey("e_s", es)
	tr.EE = refECDH(sc.ServerEphemeral, ec)
	s.mixKey("ee", tr.EE)
	tr.K2 = s.k
	core := join(es, s.seal("ML-KEM encapsulation key", tr.KEMKey), s.seal("RESP payload", sc.RespPayload))
	split := 1200 - len(sc.RespHeader) - 4 - 16
	tr.Resp1 = refFragment(sc.RespHeader, core, 0, split, tr.FragKey)
	tr.Resp2 = refFragment(sc.RespHeader, core, split, len(core), tr.FragKey)

	// FIN
	s.mixHash("FIN header", sc.FinHeader)
	tr.KEMSecret, tr.KEMText, err = mlkemtest.Encapsulate768(kem.EncapsulationKey(), sc.KEMRandom)
	must(err)
	fin := join(sc.FinHeader, s.seal("ML-KEM ciphertext", tr.KEMText))
	s.mixKey("ML-KEM shared secret", tr.KEMSecret)
	tr.K3 = s.k
	static := make([]byte, 32)
	tr.SE = make([]byte, 32)
	if sc.ClientPrivate != nil {
		static = refKey(sc.ClientPrivate).PublicKey().Bytes()
		tr.ClientPublicKey = static
		tr.SE = refECDH(sc.ServerEphemeral, static)
	}
	fin = join(fin, s.seal("s_c", static))
	s.mixKey("se", tr.SE)
	tr.K4 = s.k
	tr.Confirm = refLabel(s.ck, "confirm", s.h)[:16]
	tr.Fin = join(fin, s.seal("FIN payload", join(tr.Confirm, sc.FinFlags)))

	// End
	tr.ChannelBinding = s.h
	tr.Master = refLabel(s.ck, "master", s.h)
	tr.ClientSecret = refLabel(tr.Master, "c ap", nil)
	tr.ServerSecret = refLabel(tr.Master, "s ap", nil)
	tr.Exporter = refLabel(tr.Master, "exporter", nil)
	tr.Resumption = refLabel(tr.Master, "resumption", nil)
	return tr, s.steps
}

func refFragment(header, core []byte, from, to int, key []byte) []byte {
	b := join(header, be16(from), be16(len(core)), core[from:to])
	return join(b, refMAC(key, b)[:16])
}
