# frozen_string_literal: true

# Rack sessions from sessiongate: copy this file into your app (Ruby 3.0 or newer, Rack 2 or 3, standard library only).
#
#   require_relative 'sessiongate'
#   use Sessiongate::Middleware, secrets: { 'a1' => ENV.fetch('ASSERTION_SECRET') }, audience: 'app'
#
# In place of Rack::Session::Cookie and its kind: env['rack.session'] works as ever (Sinatra's `session`, nested changes), with
# Rack's own options: env['rack.session.options'][:renew] asks for a new id, [:drop] ends the session, [:expire_after] keeps the
# cookie. The data lives in the gateway: it arrives in X-Session-Assertion, what differs when the app is done leaves in
# X-Session-Patch. Names are strings (symbols are converted); values are what JSON can carry. A request that did not come through
# the gateway has no env['rack.session'].

require 'json'
require 'openssl'

module Sessiongate
  # The assertion is not one the gateway made for us, now.
  class Refused < StandardError; end

  SEGMENTS = /\A([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\z/

  module_function

  # The claims of a compact JWS; Refused unless HS256 by one of `secrets` (by key id), for `audience`, and not expired.
  def verify(token, secrets, audience)
    _, head, body, signature = *SEGMENTS.match(token)
    raise Refused, 'form' unless signature

    header = json_object(head)
    unless header['alg'] == 'HS256' && header['typ'] == 'session+jwt' && !header.key?('crit')
      raise Refused, 'algorithm, type or critical header'
    end
    secret = secrets[header['kid']] or raise Refused, 'key'
    expected = [OpenSSL::HMAC.digest('SHA256', secret, "#{head}.#{body}")].pack('m0').tr('+/', '-_').delete('=')
    raise Refused, 'signature' unless OpenSSL.secure_compare(expected, signature)

    check_claims(json_object(body), audience)
  end

  # `claims` when they are for `audience`, not expired and carry data; else Refused.
  def check_claims(claims, audience)
    raise Refused, 'audience' unless claims['aud'] == audience
    raise Refused, 'expired' unless claims['exp'].is_a?(Numeric) && claims['exp'] > Time.now.to_f
    raise Refused, 'data' unless claims['data'].is_a?(Hash)

    claims
  end

  def json_object(segment)
    value = JSON.parse((segment.tr('-_', '+/') + '=' * (-segment.length % 4)).unpack1('m0'))
    value.is_a?(Hash) ? value : raise(Refused, 'form')
  rescue JSON::ParserError, ArgumentError
    raise Refused, 'form'
  end

  # [patch or nil, directives] by which the gateway turns `before` into `after`, two plain JSON objects.
  def difference(before, after, cleared: false)
    return after.empty? ? [nil, ['destroy']] : [after, ['replace']] if cleared && !before.empty?

    patch = catch(:needs_null) { merge_patch(before, after) }
    return [after, ['replace']] unless patch

    [patch.empty? ? nil : patch, []]
  end

  # A merge patch (RFC 7396) has no way to set a member to null: throws :needs_null then.
  def merge_patch(before, after)
    patch = before.keys.difference(after.keys).to_h { |name| [name, nil] }
    after.each do |name, value|
      old = before[name]
      if old.is_a?(Hash) && value.is_a?(Hash)
        nested = merge_patch(old, value)
        patch[name] = nested unless nested.empty?
      elsif !before.key?(name) || canonical(old) != canonical(value)
        throw :needs_null if holds_null?(value)
        patch[name] = value
      end
    end
    patch
  end

  def holds_null?(value)
    value.nil? || (value.is_a?(Hash) && value.each_value.any? { |member| holds_null?(member) })
  end

  # One text for equal values, whatever the order of their members (and 1 is not 1.0, which Ruby holds equal).
  def canonical(value)
    case value
    when Hash then "{#{value.sort.map { |name, member| "#{name.to_json}:#{canonical(member)}" }.join(',')}}"
    when Array then "[#{value.map { |member| canonical(member) }.join(',')}]"
    else JSON.generate(value)
    end
  end

  # JSON in printable ASCII, as a header can carry it.
  def text(value)
    JSON.generate(value, ascii_only: true).gsub("\x7f", '\u007f')
  end

  # The session of one request: a Hash whose names are strings.
  class Session < Hash
    attr_reader :id, :before, :permanent

    def initialize(claims)
      super()
      @before = claims['data']
      @id = claims['sid']
      @permanent = claims['permanent'] == true
      @cleared = false
      JSON.parse(JSON.generate(@before)).each { |name, value| store(name, value) }
    end

    def [](name) = super(name.to_s)
    def []=(name, value)
      super(name.to_s, value)
    end
    alias store []=
    def fetch(name, *rest, &block) = super(name.to_s, *rest, &block)
    def key?(name) = super(name.to_s)
    alias has_key? key?
    alias include? key?
    def delete(name, &block) = super(name.to_s, &block)
    def dig(name, *rest) = super(name.to_s, *rest)

    def clear
      @cleared = true
      super
    end
    alias destroy clear

    # [patch or nil, directives], given Rack's session options.
    def changes(options)
      clear if options[:drop]
      after = JSON.parse(JSON.generate(self))
      patch, control = Sessiongate.difference(before, after, cleared: @cleared)
      return [patch, control] if control == ['destroy'] || (before.empty? && after.empty?)

      wants_permanent = options.key?(:expire_after) ? !options[:expire_after].nil? : permanent
      control += ['rotate'] if options[:renew]
      control += [wants_permanent ? 'permanent' : 'transient'] if wants_permanent != permanent
      [patch, control]
    end
  end

  # `secrets`: key id => secret, as in the gateway's keys.assertion; `audience`: this upstream's name there; `verify`: instead of
  # both, for keys that are not HS256 (see examples/verify/ruby).
  class Middleware
    def initialize(app, secrets: nil, audience: nil, prefix: 'X-Session-', verify: nil)
      raise ArgumentError, 'give secrets and audience, or verify' unless verify || (secrets && audience)

      @app = app
      @prefix = prefix.downcase
      @verify = verify || ->(token) { Sessiongate.verify(token, secrets, audience) }
      @field = "HTTP_#{prefix.upcase.tr('-', '_')}ASSERTION"
    end

    def call(env)
      session = open_session(env)
      return @app.call(env) unless session

      env['rack.session'] = session
      options = env['rack.session.options'] = { id: session.id }
      status, headers, body = @app.call(env)
      patch, control = session.changes(options)
      headers = headers.merge("#{@prefix}patch" => Sessiongate.text(patch)) if patch
      headers = headers.merge("#{@prefix}control" => control.join(', ')) unless control.empty?
      [status, headers, body]
    end

    private

    def open_session(env)
      token = env[@field]
      claims = token && claims_of(token, env['rack.errors'])
      claims && Session.new(claims)
    end

    def claims_of(token, errors)
      @verify.call(token)
    rescue StandardError => e # whatever a JWT library raises
      errors&.puts("session assertion refused: #{e.message}")
      nil
    end
  end
end
