package conn

import (
	"container/list"
	"net/netip"
	"sync"

	"github.com/godwit-net/godwit/crypto"
	"github.com/godwit-net/godwit/protocol/wire"
)

// maxTokens is how many servers' address tokens a process keeps. A program that dials more servers than that
// in turn pays a round trip more to those of them that are under load.
const maxTokens = 256

// addressToken is a server's proof that it has seen a client's address, sealed by the server.
type addressToken = [wire.CookieSize]byte

// tokenOrigin is where a token came from and who got it. A client that comes under another identity has
// tokens of its own: the server must not learn from one that both are the same.
type tokenOrigin struct {
	server   netip.AddrPort
	key      crypto.PublicKey
	psk      [8]byte
	identity crypto.PublicKey
}

func newTokenOrigin(server netip.AddrPort, c *Config) *tokenOrigin {
	o := &tokenOrigin{server: server, key: c.PeerKey, identity: c.Identity.Public()}
	if !c.PresharedKey.IsZero() {
		o.psk = c.PresharedKey.ID()
	}
	return o
}

// tokens are those of all endpoints of the process: they prove an IP address, which the endpoints share.
var tokens tokenCache

// tokenCache keeps the newest address token of each of the servers dialed last, so that a Dial to a server
// under load is not asked to prove its address again. A token is used once: whoever sees two first packets
// with the same one knows that they come from one client.
type tokenCache struct {
	mu     sync.Mutex
	places map[tokenOrigin]*list.Element
	order  list.List // of *keptToken, the newest first
}

type keptToken struct {
	from  tokenOrigin
	token addressToken
}

// put keeps a token, in the place of an earlier one of the same server or of the one that was put longest ago.
func (c *tokenCache) put(from tokenOrigin, token addressToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places == nil {
		c.places = make(map[tokenOrigin]*list.Element)
	}
	c.drop(c.places[from])
	if c.order.Len() >= maxTokens {
		c.drop(c.order.Back())
	}
	c.places[from] = c.order.PushFront(&keptToken{from: from, token: token})
}

// take returns the token for a server, which is gone then; zero if there is none.
func (c *tokenCache) take(from tokenOrigin) (token addressToken) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.places[from]; e != nil {
		token = e.Value.(*keptToken).token
		c.drop(e)
	}
	return token
}

// drop forgets one token; there may be none.
func (c *tokenCache) drop(e *list.Element) {
	if e == nil {
		return
	}
	c.order.Remove(e)
	delete(c.places, e.Value.(*keptToken).from)
}
