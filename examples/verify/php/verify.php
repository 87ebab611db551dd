<?php
// The check with firebase/php-jwt 6.4 or newer (composer require firebase/php-jwt). $keys: key id => Key, each with its algorithm:
//   ['a1' => new Key($secret, 'HS256')], or JWK::parseKeySet($jwks) for EdDSA and ES256.
use Firebase\JWT\JWT;

/** The claims, or an exception. The library checks signature, algorithm of the key and expiry; the rest is ours. */
function verify(string $token, array $keys, string $audience): stdClass
{
    $header = new stdClass();
    $claims = JWT::decode($token, $keys, $header);
    if (($header->typ ?? null) !== 'session+jwt' || property_exists($header, 'crit')) {
        throw new UnexpectedValueException('type or critical header');
    }
    if (($claims->aud ?? null) !== $audience || !is_numeric($claims->exp ?? null)) {
        throw new UnexpectedValueException('audience or expiry');
    }
    return $claims;
}
