// Runs the shared vectors through examples/verify/go.
package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"log"
	"math/big"
	"os"

	"sessiongate/verify"
)

type jwk struct{ Kid, X, Y string }

type vectorFile struct {
	Audience   string
	Secrets    map[string]string
	JWKS       map[string]struct{ Keys []jwk }
	Assertions []struct{ ID, Alg, Token string }
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var vectors vectorFile
	if err := json.Unmarshal(text, &vectors); err != nil {
		log.Fatal(err)
	}
	assertions := map[string]any{}
	for _, vector := range vectors.Assertions {
		claims, err := verify.Verify(vector.Token, keysOf(vectors, vector.Alg), vector.Alg, vectors.Audience)
		if err != nil {
			assertions[vector.ID] = map[string]any{"ok": false}
			continue
		}
		assertions[vector.ID] = map[string]any{"ok": true, "data": claims["data"]}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"assertions": assertions})
}

func keysOf(vectors vectorFile, alg string) map[string]any {
	keys := map[string]any{}
	if alg == "HS256" {
		for kid, secret := range vectors.Secrets {
			keys[kid] = []byte(secret)
		}
	}
	for _, key := range vectors.JWKS[alg].Keys {
		if alg == "EdDSA" {
			keys[key.Kid] = ed25519.PublicKey(decode(key.X))
		} else {
			x, y := new(big.Int).SetBytes(decode(key.X)), new(big.Int).SetBytes(decode(key.Y))
			keys[key.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: x, Y: y}
		}
	}
	return keys
}

func decode(text string) []byte {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		log.Fatal(err)
	}
	return raw
}
