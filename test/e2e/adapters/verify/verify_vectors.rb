# Runs the shared vectors through examples/verify/ruby: HS256 and ES256, which ruby-jwt does by itself.
require 'json'
require_relative '../../../../examples/verify/ruby/verify'

vectors = JSON.parse(File.read(ARGV[0]))
keys = { 'HS256' => vectors['secrets'], 'ES256' => vectors['jwks']['ES256']['keys'].to_h { |jwk| [jwk['kid'], JWT::JWK.import(jwk).keypair] } }
assertions = vectors['assertions'].select { |vector| keys.key?(vector['alg']) }.to_h do |vector|
  [vector['id'], { ok: true, data: verify(vector['token'], keys[vector['alg']], vector['alg'], vectors['audience'])['data'] }]
rescue JWT::DecodeError, TypeError # ruby-jwt 2.5 looks for `aud` in claims that are a list
  [vector['id'], { ok: false }]
end
puts JSON.generate({ assertions: assertions })
