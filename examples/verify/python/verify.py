"""The check with PyJWT (pip install "pyjwt[crypto]"). `keys`: key id -> HS256 secret, or public key for EdDSA and ES256."""
import jwt


def verify(token, keys, alg, audience):
    """The claims, or jwt.InvalidTokenError: the algorithm is ours to choose, and so is the list of what must be there."""
    header = jwt.get_unverified_header(token)
    if header.get("typ") != "session+jwt" or "crit" in header or header.get("kid") not in keys:
        raise jwt.InvalidTokenError("type, critical header or key")
    options = {"require": ["exp", "aud"], "verify_iat": False}
    return jwt.decode(token, keys[header["kid"]], algorithms=[alg], audience=audience, options=options)
