package crypto

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// spec: PROT-1
func TestKeysSurviveTheirTextForm(t *testing.T) {
	private := GeneratePrivateKey()
	text := private.Text()
	require.Len(t, text, keyTextLen)
	require.True(t, strings.HasPrefix(text, "gwkey1"))
	again, err := ParsePrivateKey(text + "\n")
	require.NoError(t, err, "key files end in a newline")
	require.True(t, private.Equal(again))

	public, err := ParsePublicKey(private.Public().String())
	require.NoError(t, err)
	require.Equal(t, private.Public(), public)

	psk := GeneratePresharedKey()
	samePSK, err := ParsePresharedKey(strings.ToUpper(psk.Text()))
	require.NoError(t, err, "all upper case is a valid form, as QR codes use it")
	require.True(t, psk.Equal(samePSK))
}

// spec: PROT-1
func TestKeyTextIsFixedForever(t *testing.T) {
	ones := bytes.Repeat([]byte{1}, KeySize)
	private, err := PrivateKeyFromSeed(bytes.NewReader(ones))
	require.NoError(t, err)
	psk, err := PresharedKeyFromSeed(bytes.NewReader(ones))
	require.NoError(t, err)
	require.Equal(t, "gwkey1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqsqpmt9y", private.Text())
	require.Equal(t, "gwpub15nsf9y4k28p83wth93tf7hafhvfajp45d2mge80ems45gz0c5gys33wwnl", private.Public().String())
	require.Equal(t, "gwpsk1qyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqsxmemwt", psk.Text())
}

// spec: PROT-1
func TestAKeyOfTheWrongKindIsNamed(t *testing.T) {
	private, psk := GeneratePrivateKey(), GeneratePresharedKey()
	_, err := ParsePrivateKey(private.Public().String())
	require.EqualError(t, err, "this is a public key (gwpub1…), a private key (gwkey1…) is needed")
	_, err = ParsePublicKey(private.Text())
	require.EqualError(t, err, "this is a private key (gwkey1…), a public key (gwpub1…) is needed")
	_, err = ParsePresharedKey(private.Text())
	require.EqualError(t, err, "this is a private key (gwkey1…), a pre-shared key (gwpsk1…) is needed")
	_, err = ParsePublicKey(psk.Text())
	require.EqualError(t, err, "this is a pre-shared key (gwpsk1…), a public key (gwpub1…) is needed")
}

// spec: PROT-1
func TestEveryWrongCharacterOfAKeyIsFound(t *testing.T) {
	text := GeneratePresharedKey().Text()
	for i := range text {
		for _, c := range []byte("qpb1 Z~") {
			if wrong := text[:i] + string(c) + text[i+1:]; wrong != text && c != ' ' {
				_, err := ParsePresharedKey(wrong)
				require.Error(t, err, "character %d", i)
			}
		}
		_, err := ParsePresharedKey(text[:i])
		require.Error(t, err, "cut after %d characters", i)
	}
}

// spec: PROT-1
func TestZeroBytesAreNoKey(t *testing.T) {
	zeros := make([]byte, KeySize)
	_, err := ParsePrivateKey(bech32Encode(privateKeyPrefix, zeros))
	require.ErrorIs(t, err, errZeroKey)
	_, err = ParsePublicKey(bech32Encode(publicKeyPrefix, zeros))
	require.ErrorIs(t, err, errZeroKey)
	_, err = ParsePresharedKey(bech32Encode(presharedKeyPrefix, zeros))
	require.ErrorIs(t, err, errZeroKey)
	_, err = PrivateKeyFromSeed(bytes.NewReader(zeros))
	require.ErrorIs(t, err, errZeroKey)
	_, err = PresharedKeyFromSeed(bytes.NewReader(zeros))
	require.ErrorIs(t, err, errZeroKey)
	_, err = PresharedKeyFromSeed(bytes.NewReader(zeros[1:]))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// The valid and invalid texts of BIP-173.
func TestBech32FollowsItsVectors(t *testing.T) {
	for _, text := range []string{
		"A12UEL5L", "a12uel5l",
		"an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
		"11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j",
		"?1ezyfcl",
	} {
		_, _, err := bech32Decode(text)
		require.NoError(t, err, text)
	}
	prefix, data, err := bech32Decode("abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw")
	require.NoError(t, err)
	require.Equal(t, "abcdef", prefix)
	require.Equal(t, "00443214c74254b635cf84653a56d7c675be77df", hex.EncodeToString(data))
	require.Equal(t, "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", bech32Encode(prefix, data))

	for text, want := range map[string]error{
		"an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx": errBech32Length,
		"pzry9x0s0muk": errBech32Separator, "1pzry9x0s0muk": errBech32Separator, "10a06t8": errBech32Length,
		"x1b4n0q5v": errBech32Character, "li1dgmt3": errBech32Separator, "de1lg7wt\xff": errBech32Character,
		"A1G7SGD8": errBech32Checksum, "a12uEL5L": errBech32Case, "": errBech32Length,
	} {
		_, _, err := bech32Decode(text)
		require.ErrorIs(t, err, want, text)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	private, psk, secret := GeneratePrivateKey(), GeneratePresharedKey(), *testSecret(9)
	type hidden struct {
		private PrivateKey
		psk     PresharedKey
	}
	type shown struct {
		Private PrivateKey
		PSK     PresharedKey
		Secret  Secret
	}
	pskBytes := psk.Bytes()
	privateBytes := (*private.key).Bytes()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
		fmt.Fprintf(&out, verb+verb+verb, private, psk, secret)
		fmt.Fprintf(&out, verb, hidden{private, psk})
		fmt.Fprintf(&out, verb, shown{private, psk, secret})
	}
	encoded, err := json.Marshal(shown{Private: private, PSK: psk})
	require.NoError(t, err)
	out.Write(encoded[:bytes.Index(encoded, []byte("Secret"))])
	for _, b := range [][]byte{privateBytes, pskBytes[:], secret[:]} {
		lower := strings.ToLower(out.String())
		require.NotContains(t, lower, hex.EncodeToString(b[4:8]))
		require.NotContains(t, lower, strings.Trim(fmt.Sprint(b[4:8]), "[]"))
		require.NotContains(t, lower, fmt.Sprintf("%o", b[4])+" "+fmt.Sprintf("%o", b[5])+" "+fmt.Sprintf("%o", b[6]))
	}
	require.NotContains(t, out.String(), private.Text()[6:20])
	require.NotContains(t, out.String(), psk.Text()[6:20])
	require.Equal(t, "gwkey1(secret)", private.String())
	require.Equal(t, "gwpsk1(not set)", PresharedKey{}.String())
}

func TestErrorsOfKeysDoNotQuoteThem(t *testing.T) {
	text := GeneratePrivateKey().Text()
	for _, wrong := range []string{text[:60], text + "q", strings.Replace(text, "gwkey1", "gwkey2", 1), strings.ToUpper(text[:20]) + text[20:]} {
		_, err := ParsePrivateKey(wrong)
		require.Error(t, err)
		require.NotContains(t, strings.ToLower(err.Error()), text[8:16])
	}
}

func TestKeysAreReadFromSettings(t *testing.T) {
	private, psk := GeneratePrivateKey(), GeneratePresharedKey()
	var settings struct {
		Key  PrivateKey
		Peer PublicKey
		None PublicKey
		PSK  PresharedKey
	}
	text := fmt.Sprintf(`{"Key":%q,"Peer":%q,"None":"","PSK":%q}`, private.Text(), private.Public(), psk.Text())
	require.NoError(t, json.Unmarshal([]byte(text), &settings))
	require.True(t, private.Equal(settings.Key))
	require.True(t, psk.Equal(settings.PSK))
	require.Equal(t, private.Public(), settings.Peer)
	require.True(t, settings.None.IsZero())
	out, err := json.Marshal(settings.Peer)
	require.NoError(t, err)
	require.Equal(t, `"`+private.Public().String()+`"`, string(out))
	require.Error(t, json.Unmarshal([]byte(`{"Peer":"gwpub1"}`), &settings))
}

func TestAKeyThatIsNotSetMatchesNothing(t *testing.T) {
	var private PrivateKey
	var psk PresharedKey
	require.True(t, private.IsZero())
	require.True(t, psk.IsZero())
	require.False(t, private.Equal(PrivateKey{}))
	require.False(t, psk.Equal(PresharedKey{}))
	require.False(t, GeneratePrivateKey().Equal(GeneratePrivateKey()))
	require.Empty(t, private.Text()+psk.Text()+PublicKey{}.String())
	require.True(t, private.Public().IsZero())
	require.True(t, psk.GroupKey().IsZero())
	require.Zero(t, psk.Bytes())
	require.Zero(t, psk.ID())
	_, err := private.ECDH(GeneratePrivateKey().Public())
	require.ErrorIs(t, err, errNoPrivateKey)
}

// RFC 7748 §6.1.
func TestX25519FollowsItsVector(t *testing.T) {
	alice, err := PrivateKeyFromSeed(bytes.NewReader(unhex(t, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")))
	require.NoError(t, err)
	bob, err := PrivateKeyFromSeed(bytes.NewReader(unhex(t, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")))
	require.NoError(t, err)
	public := alice.Public().Bytes()
	require.Equal(t, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a", hex.EncodeToString(public[:]))
	public = bob.Public().Bytes()
	require.Equal(t, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f", hex.EncodeToString(public[:]))
	shared, err := alice.ECDH(bob.Public())
	require.NoError(t, err)
	require.Equal(t, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742", hex.EncodeToString(shared[:]))
	same, err := bob.ECDH(alice.Public())
	require.NoError(t, err)
	require.Equal(t, shared, same)
}

// spec: PROT-3
func TestPresharedKeyIsNamedByItsHash(t *testing.T) {
	psk, err := PresharedKeyFromSeed(bytes.NewReader(bytes.Repeat([]byte{0x42}, KeySize)))
	require.NoError(t, err)
	id := psk.ID()
	require.Equal(t, "7f0b675a9836f191", hex.EncodeToString(id[:]))
	require.NotEqual(t, id, GeneratePresharedKey().ID())
}

// spec: PROT-4
func TestGroupKeyIsTheSameForAllHoldersOfAPresharedKey(t *testing.T) {
	psk, err := PresharedKeyFromSeed(bytes.NewReader(bytes.Repeat([]byte{0x42}, KeySize)))
	require.NoError(t, err)
	public := psk.GroupKey().Public().Bytes()
	require.Equal(t, "81c26d04874cbd04510777648ac57209227410c0135362d56dd894fdf7e10f6e", hex.EncodeToString(public[:]))
	require.NotEqual(t, psk.GroupKey().Public(), GeneratePresharedKey().GroupKey().Public())
}
