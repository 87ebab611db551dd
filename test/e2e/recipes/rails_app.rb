# A Rails app with its default session, the encrypted cookie, and protection from forgery. It knows nothing of a gateway.
require 'rails'
require 'action_controller/railtie'
require 'webrick'

class App < Rails::Application
  config.root = __dir__
  config.load_defaults 6.1
  config.eager_load = true
  config.logger = Logger.new($stderr, level: :warn)
  config.secret_key_base = 'the secret of the app, of no use to anybody else ' * 2
  config.session_store :cookie_store, key: '_app_session'
  config.hosts.clear
  routes.append do
    %w[whoami count login].each { |name| get "/#{name}", to: "pages##{name}" }
    get '/cookies', to: 'pages#names'
    %w[login logout].each { |name| post "/#{name}", to: "pages##{name}" }
  end
end

class PagesController < ActionController::Base
  protect_from_forgery with: :exception

  def whoami = render(plain: session[:user] || 'nobody')
  def count = render(plain: (session[:count] = session.fetch(:count, 0) + 1).to_s)

  def login
    return render(plain: form_authenticity_token) if request.get?
    return render(plain: 'wrong', status: 403) unless params[:password] == 'right'
    reset_session
    session[:user] = params[:user]
    render plain: 'ok'
  end

  def logout
    reset_session
    render plain: 'bye'
  end

  # Not `cookies`: that is ActionController's own.
  def names = render(plain: request.cookies.keys.sort.join(' '))
end

App.initialize!
Rack::Handler::WEBrick.run(App, Host: '127.0.0.1', Port: Integer(ENV['PORT']), AccessLog: [], Logger: WEBrick::Log.new(nil, 0))
