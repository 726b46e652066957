package handshake

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/spec/vectors"
)

var update = flag.Bool("update", false, "write the vector files anew")

type handshakeFile struct {
	Note       string            `json:"note"`
	Handshakes []handshakeVector `json:"handshakes"`
}

type handshakeVector struct {
	Scenario scenario   `json:"in"`
	Result   transcript `json:"out"`
}

type scheduleFile struct {
	Note     string  `json:"note"`
	Scenario string  `json:"handshake"` // its name in handshake.json
	Steps    []step  `json:"steps"`
	Draws    []drawn `json:"draws"`
}

// drawn is one output of HKDF-Expand-Label.
type drawn struct {
	What    string   `json:"what"`
	Secret  hexBytes `json:"secret"`
	Label   string   `json:"label"`
	Context hexBytes `json:"context"`
	Output  hexBytes `json:"output"`
}

const (
	handshakeNote = "Whole handshakes with fixed randomness: chapter 2, Vectors. Everything before 'out' is given, everything in it follows."
	scheduleNote  = "The key schedule of one handshake, operation by operation, with the state after each; then what is drawn from it: chapter 2, Key schedule."
)

// bytesOf gives reproducible bytes for a purpose.
func bytesOf(purpose string, n int) []byte {
	var b []byte
	for i := byte(0); len(b) < n; i++ {
		h := sha256.Sum256(append([]byte(purpose), i))
		b = append(b, h[:]...)
	}
	return b[:n]
}

// vectorScenarios are the handshakes that are recorded.
func vectorScenarios() []*scenario {
	xk := newScenario("XK", "XKpsk0+rkem")
	xk.ClientPrivate = bytesOf("client static", 32)

	nk := newScenario("NK", "NKpsk0+rkem")
	nk.InitHeader = longHeader(4, Version1, firstID, nil) // a client without an ID
	nk.RespHeader = longHeader(5, Version1, nil, serverID)
	nk.RejectHeader = append(longHeader(7, Version1, nil, serverID), 2)

	only := newScenario("PSK only", "NKpsk0+rkem")
	only.PSK = bytesOf("pre-shared key", 32)
	only.ServerPrivate = nil

	retry := newScenario("XK with PSK and RETRY", "XKpsk0+rkem")
	retry.ClientPrivate = bytesOf("client static", 32)
	retry.PSK = bytesOf("pre-shared key", 32)
	retry.RetryHeader = retryHeader()
	retry.Cookie = bytesOf("cookie", 32)
	return []*scenario{xk, nk, only, retry}
}

func newScenario(name, pattern string) *scenario {
	draw := func(what string, n int) hexBytes { return bytesOf(name+what, n) }
	sc := &scenario{
		Name: name, Pattern: pattern,
		ServerPrivate:   bytesOf("server static", 32),
		ClientEphemeral: draw("client ephemeral", 32),
		ServerEphemeral: draw("server ephemeral", 32),
		KEMSeed:         draw("ML-KEM seed", 64),
		KEMRandom:       draw("ML-KEM randomness", 32),
		ClientGrease:    draw("client grease", 5),
		ServerGrease:    draw("server grease", 5),
		FinFlags:        draw("FIN flags", 2),
		InitHeader:      initHeader(),
		RespHeader:      respHeader(),
		FinHeader:       finHeader(Version1, serverID),
		RejectHeader:    rejectHeader(),
		RejectCode:      RejectFull,
		RejectHint:      "try again in a minute",
	}
	return sc
}

func vectorResponse(sc *scenario) Response {
	return Response{
		Suite:       crypto.AES256GCM,
		AppProtocol: "chat/1",
		Params:      bytesOf("server parameters", 20),
		ResetToken:  [16]byte(bytesOf(sc.Name+"reset token", 16)),
		Observed:    netip.MustParseAddrPort("[2001:db8::7]:40000"),
	}
}

// runScenario runs a scenario through the package and gives what can be seen of it;
// it also fills in the payloads, which the package lays out.
func runScenario(t *testing.T, sc *scenario) *transcript {
	t.Helper()
	r := &run{t: t, sc: sc, tr: &transcript{}}
	r.connect()
	r.refuse()
	r.finish()
	return r.tr
}

type run struct {
	t      *testing.T
	sc     *scenario
	tr     *transcript
	client *Client
	server *Server
	in     Init
}

func (r *run) connect() {
	t, sc := r.t, r.sc
	psk := presharedKeyOf(t, sc.PSK)
	cc := ClientConfig{
		Rand:         bytes.NewReader(join(sc.ClientEphemeral, sc.ClientGrease, sc.FinFlags)),
		Identity:     privateKeyOf(t, sc.ClientPrivate),
		PeerKey:      privateKeyOf(t, sc.ServerPrivate).Public(),
		PSK:          psk,
		Suites:       []crypto.Suite{crypto.AES256GCM, crypto.ChaCha20Poly1305},
		AppProtocols: []string{"chat/2", "chat/1"},
		Params:       bytesOf("client parameters", 24),
	}
	server := ServerConfig{Rand: bytes.NewReader(join(sc.ServerGrease, sc.ServerEphemeral, sc.KEMSeed))}
	if k := privateKeyOf(t, sc.ServerPrivate); !k.IsZero() {
		server.Identities = append(server.Identities, k)
	}
	if !psk.IsZero() {
		server.LookupPSK = LookupOne(NewPSK(psk))
	}
	var err error
	r.client, err = NewClient(cc, sc.InitHeader)
	require.NoError(t, err)
	r.client.encapsulate = func(k *mlkem.EncapsulationKey768) (secret, text []byte) {
		secret, text, err := mlkemtest.Encapsulate768(k, sc.KEMRandom)
		require.NoError(t, err)
		return secret, text
	}
	r.server, err = NewServer(server)
	require.NoError(t, err)

	r.tr.Init = r.client.AppendInit(nil)
	r.receive(r.tr.Init)
	if sc.Cookie == nil {
		return
	}
	r.tr.Retry = r.server.AppendRetry(nil, sc.RetryHeader, &r.in, [32]byte(sc.Cookie))
	require.NoError(t, r.client.HandleRetry(r.tr.Retry, len(sc.RetryHeader)))
	r.tr.InitAgain = r.client.AppendInit(nil)
	r.receive(r.tr.InitAgain)
}

// receive takes an INIT as far as Open and keeps what it saw.
func (r *run) receive(datagram []byte) {
	t := r.t
	require.NoError(t, r.server.ParseInit(&r.in, datagram, len(r.sc.InitHeader)))
	require.NoError(t, r.server.CheckMAC(&r.in))
	_, err := r.server.Open(&r.in)
	require.NoError(t, err)
	hash := r.in.Hash()
	r.tr.InitHash = hash[:]
	r.tr.ServerPublic = r.in.static.public[:]
	r.tr.K1 = bytes.Clone(r.in.sym.k[:])
	r.tr.FragKey, r.tr.RejectKey = bytes.Clone(r.in.fragKey[:]), bytes.Clone(r.in.rejectKey[:])

	// The payload is opened a second time, since Open keeps only its meaning.
	s := r.client.replayInit()
	payload, err := s.openAndHash(nil, r.in.sealed)
	require.NoError(t, err)
	r.sc.InitPayload = payload
}

// replayInit gives the client's state as it was before the INIT payload.
func (c *Client) replayInit() symmetric {
	psk, e := c.config.PSK.Bytes(), c.ephemeral.Public().Bytes()
	es, err := c.ephemeral.ECDH(crypto.PublicKeyFromBytes(c.server))
	must(err)
	at := bytes.Index(c.init, e[:])
	return startInit(c.version, &c.server, c.init[:at], &psk, &e, &es)
}

func (r *run) refuse() {
	r.tr.Reject = r.server.AppendReject(nil, r.sc.RejectHeader, &r.in, r.sc.RejectCode, r.sc.RejectHint)
	got, err := r.client.HandleReject(r.tr.Reject, len(r.sc.RejectHeader))
	require.NoError(r.t, err)
	require.Equal(r.t, &RejectError{Code: r.sc.RejectCode, Hint: r.sc.RejectHint}, got)
}

func (r *run) finish() {
	t, sc, tr := r.t, r.sc, r.tr
	response := vectorResponse(sc)
	half, err := r.server.Respond(&r.in, sc.RespHeader, response)
	require.NoError(t, err)
	response.Versions = withGrease([]uint32{Version1}, [4]byte(sc.ServerGrease))
	sc.RespPayload, err = appendResponse(nil, &response, sc.ServerGrease[4])
	require.NoError(t, err)

	tr.Resp1, tr.Resp2 = half.AppendFragment(nil, 0), half.AppendFragment(nil, 1)
	tr.K2 = bytes.Clone(half.sym.k[:])
	_, err = r.client.HandleFragment(tr.Resp2, len(sc.RespHeader))
	require.NoError(t, err)
	done, err := r.client.HandleFragment(tr.Resp1, len(sc.RespHeader))
	require.NoError(t, err)
	require.True(t, done)
	client, err := r.client.Finish(sc.FinHeader)
	require.NoError(t, err)
	tr.Fin = r.client.AppendFin(nil)
	server, err := half.HandleFin(tr.Fin, len(sc.FinHeader))
	require.NoError(t, err)
	requireSame(t, client, server)

	tr.ClientSecret, tr.ServerSecret = client.Client[:], client.Server[:]
	tr.Exporter, tr.Resumption = client.Exporter[:], client.Resumption[:]
	tr.ChannelBinding = client.ChannelBinding[:]
	if k := server.PeerStatic.Bytes(); !server.PeerStatic.IsZero() {
		tr.ClientPublicKey = k[:]
	}
}

func privateKeyOf(t *testing.T, b []byte) crypto.PrivateKey {
	t.Helper()
	if b == nil {
		return crypto.PrivateKey{}
	}
	k, err := crypto.PrivateKeyFromSeed(bytes.NewReader(b))
	require.NoError(t, err)
	return k
}

func presharedKeyOf(t *testing.T, b []byte) crypto.PresharedKey {
	t.Helper()
	if b == nil {
		return crypto.PresharedKey{}
	}
	k, err := crypto.PresharedKeyFromSeed(bytes.NewReader(b))
	require.NoError(t, err)
	return k
}

// requireSeen holds the package to all that can be seen from outside it, and to
// the keys that it keeps.
func requireSeen(t *testing.T, want, got *transcript) {
	t.Helper()
	for what, pair := range map[string][2]hexBytes{
		"INIT":                 {want.Init, got.Init},
		"RETRY":                {want.Retry, got.Retry},
		"INIT with the cookie": {want.InitAgain, got.InitAgain},
		"REJECT":               {want.Reject, got.Reject},
		"first fragment":       {want.Resp1, got.Resp1},
		"second fragment":      {want.Resp2, got.Resp2},
		"FIN":                  {want.Fin, got.Fin},
		"S":                    {want.ServerPublic, got.ServerPublic},
		"INIT hash":            {want.InitHash, got.InitHash},
		"k1":                   {want.K1, got.K1},
		"fragment key":         {want.FragKey, got.FragKey},
		"reject key":           {want.RejectKey, got.RejectKey},
		"k2":                   {want.K2, got.K2},
		"client secret":        {want.ClientSecret, got.ClientSecret},
		"server secret":        {want.ServerSecret, got.ServerSecret},
		"exporter":             {want.Exporter, got.Exporter},
		"resumption":           {want.Resumption, got.Resumption},
		"channel binding":      {want.ChannelBinding, got.ChannelBinding},
		"client key":           {want.ClientPublicKey, got.ClientPublicKey},
	} {
		require.Equal(t, pair[0], pair[1], what)
	}
}

// TestVectorsAreWhatThePackageAndTheTextSay runs every recorded handshake through
// the package and through the second writing of the chapter.
//
// spec: HS-5 HS-11 HS-14 HS-23 HS-31 HS-36 HS-37
func TestVectorsAreWhatThePackageAndTheTextSay(t *testing.T) {
	var file handshakeFile
	if *update {
		file.Note = handshakeNote
		for _, sc := range vectorScenarios() {
			file.Handshakes = append(file.Handshakes, handshakeVector{Scenario: *sc})
		}
	} else {
		require.NoError(t, vectors.Load("handshake.json", &file))
	}
	require.Len(t, file.Handshakes, len(vectorScenarios()))
	for i := range file.Handshakes {
		v := &file.Handshakes[i]
		t.Run(v.Scenario.Name, func(t *testing.T) {
			sc := v.Scenario
			got := runScenario(t, &sc)
			want, _ := reference(&sc)
			requireSeen(t, want, got)
			if *update {
				v.Scenario, v.Result = sc, *want
			}
			require.Equal(t, v.Scenario, sc)
			require.Equal(t, v.Result, *want)
		})
	}
	if *update {
		writeVectors(t, "handshake.json", file)
	}
}

// spec: HS-14 HS-36
func TestKeyScheduleVectorsFollowTheText(t *testing.T) {
	sc := vectorScenarios()[3]
	runScenario(t, sc) // lays out the payloads
	tr, steps := reference(sc)
	beforeResponse, beforeConfirm := stateAfter(t, steps, "INIT payload"), stateAfter(t, steps, "se")
	last := steps[len(steps)-1]
	want := scheduleFile{Note: scheduleNote, Scenario: sc.Name, Steps: steps, Draws: []drawn{
		{"key of fragment MACs", beforeResponse.CK, "frag", beforeResponse.H, tr.FragKey},
		{"key of REJECT MACs", beforeResponse.CK, "reject", beforeResponse.H, tr.RejectKey},
		{"confirmation, first 16 bytes", beforeConfirm.CK, "confirm", beforeConfirm.H, refLabel(beforeConfirm.CK, "confirm", beforeConfirm.H)},
		{"master secret", last.CK, "master", last.H, tr.Master},
		{"client secret", tr.Master, "c ap", nil, tr.ClientSecret},
		{"server secret", tr.Master, "s ap", nil, tr.ServerSecret},
		{"exporter secret", tr.Master, "exporter", nil, tr.Exporter},
		{"resumption secret", tr.Master, "resumption", nil, tr.Resumption},
	}}
	if *update {
		writeVectors(t, "keyschedule.json", want)
		return
	}
	b, err := vectors.Files.ReadFile("keyschedule.json")
	require.NoError(t, err)
	encoded, err := vectors.Encode(want)
	require.NoError(t, err)
	require.Equal(t, string(encoded), string(b))
	for _, d := range want.Draws {
		out := crypto.ExpandLabel(crypto.LabelPrefix, d.Secret, d.Label, d.Context, 32)
		require.Equal(t, []byte(d.Output), out, d.What)
	}
	requireSteps(t, steps)
}

// requireSteps drives the package's own state through recorded steps.
func requireSteps(t *testing.T, steps []step) {
	t.Helper()
	var s symmetric
	for _, st := range steps {
		switch st.Op {
		case "Initialize":
			s = newSymmetric(string(st.Input))
		case "MixHash":
			s.mixHash(st.Input)
		case "MixKey":
			s.mixKey(st.Input)
		case "MixKeyAndHash":
			s.mixKeyAndHash(st.Input)
		case "EncryptAndHash":
			s.sealAndHash(nil, st.Input)
		default:
			require.Fail(t, "unknown operation "+st.Op)
		}
		require.Equal(t, []byte(st.CK), s.ck[:], st.What)
		require.Equal(t, []byte(st.H), s.h[:], st.What)
		require.Equal(t, st.N, s.n, st.What)
		if st.K != nil {
			require.Equal(t, []byte(st.K), s.k[:], st.What)
		}
	}
}

// stateAfter finds the state behind the last step of that name.
func stateAfter(t *testing.T, steps []step, what string) step {
	t.Helper()
	for i := len(steps) - 1; i >= 0; i-- {
		if steps[i].What == what {
			return steps[i]
		}
	}
	require.Fail(t, "no step "+what)
	return step{}
}

func writeVectors(t *testing.T, name string, v any) {
	t.Helper()
	b, err := vectors.Encode(v)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join("..", "..", "spec", "vectors", name), b, 0o644))
}
