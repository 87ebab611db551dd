# The check with ruby-jwt (gem install jwt). `keys`: key id => HS256 secret, or OpenSSL public key for ES256 (EdDSA wants the
# gem jwt-eddsa or, before jwt 3, rbnacl).
require 'jwt'

# The claims, or JWT::DecodeError. The algorithm is ours to choose; critical headers and the type are checked by hand.
def verify(token, keys, alg, audience)
  claims, header = JWT.decode(token, nil, true, algorithm: alg, aud: audience, verify_aud: true, required_claims: ['exp']) do |head|
    keys[head['kid']] or raise JWT::DecodeError, 'key'
  end
  raise JWT::DecodeError, 'type or critical header' if header['typ'] != 'session+jwt' || header.key?('crit')

  claims
end
