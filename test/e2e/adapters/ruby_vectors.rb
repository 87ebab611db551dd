# Runs the shared vectors through examples/adapters/ruby/sessiongate.rb; prints what it accepted and emitted as JSON.
require ARGV[1]

vectors = JSON.parse(File.read(ARGV[0]))
assertions = vectors['assertions'].to_h do |vector|
  claims = Sessiongate.verify(vector['token'], vectors['secrets'], vectors['audience'])
  [vector['id'], { ok: true, data: claims['data'] }]
rescue Sessiongate::Refused
  [vector['id'], { ok: false }]
end
patches = vectors['patches'].to_h do |vector|
  patch, control = Sessiongate.difference(vector['before'], vector['after'], cleared: vector['cleared'])
  [vector['id'], { patch: patch && Sessiongate.text(patch), control: control }]
end
puts JSON.generate({ assertions: assertions, patches: patches })
