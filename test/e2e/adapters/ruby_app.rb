# The adapters' common small app, on Rack.
require 'rack'
require ENV.fetch('ADAPTER')

APP = lambda do |env|
  session = env['rack.session']
  next [403, { 'content-type' => 'text/plain' }, ['no session']] unless session

  query = Rack::Utils.parse_query(env['QUERY_STRING'])
  case env['PATH_INFO']
  when '/session' then next [200, { 'content-type' => 'application/json' }, [JSON.generate(session)]]
  when '/set' then session[query['name']] = JSON.parse(query['value'], quirks_mode: true)
  when '/drop' then session.delete(query['name'])
  when '/visit' then session[:user]['visits'] += 1
  when '/login'
    env['rack.session.options'][:renew] = true
    session[:user] = { id: query['user'], visits: 0 }
  when '/remember' then env['rack.session.options'][:expire_after] = 1200
  when '/restart'
    session.clear
    session[:fresh] = true
  when '/logout' then env['rack.session.options'][:drop] = true
  end
  [200, { 'content-type' => 'text/plain' }, ['ok']]
end

gate = Sessiongate::Middleware.new(APP, secrets: { 'a1' => ENV.fetch('ASSERTION_SECRET') }, audience: 'app')
Rack::Handler::WEBrick.run(gate, Host: '127.0.0.1', Port: Integer(ENV.fetch('PORT')), AccessLog: [], Logger: WEBrick::Log.new(File::NULL))
