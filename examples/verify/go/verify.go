// Package verify is the check with golang-jwt (go get github.com/golang-jwt/jwt/v5).
package verify

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"
)

// Verify is the claims, or an error. keys: key id to []byte (HS256), ed25519.PublicKey or *ecdsa.PublicKey.
func Verify(token string, keys map[string]any, alg, audience string) (jwt.MapClaims, error) {
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(token *jwt.Token) (any, error) {
		_, critical := token.Header["crit"]
		kid, _ := token.Header["kid"].(string)
		if key, known := keys[kid]; known && !critical && token.Header["typ"] == "session+jwt" {
			return key, nil
		}
		return nil, errors.New("type, critical header or key")
	}, jwt.WithValidMethods([]string{alg}), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithStrictDecoding())
	return claims, err
}
