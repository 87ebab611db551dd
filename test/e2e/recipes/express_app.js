// An Express app with express-session, remember me and a double-submit token. It knows nothing of a gateway.
import { randomBytes } from 'node:crypto'
import express from 'express'
import session from 'express-session'

const app = express()
const remembered = new Map()
const cookiesOf = (request) => Object.fromEntries((request.headers.cookie ?? '').split('; ').map((pair) => pair.split('=')))
const fresh = () => randomBytes(24).toString('base64url')

app.use(session({ secret: 'the secret of the app', resave: false, saveUninitialized: false }))
app.use(express.urlencoded({ extended: false }))
app.use((request, response, next) => {
  const { xsrf, remember } = cookiesOf(request)
  if (!xsrf) response.cookie('xsrf', fresh(), { path: '/' })
  if (!request.session.user && remembered.has(remember)) request.session.user = remembered.get(remember)
  next()
})

app.get('/session', (_request, response) => response.send('up'))
app.get('/cookies', (request, response) => response.send(Object.keys(cookiesOf(request)).join(' ')))
app.get('/whoami', (request, response) => response.send(request.session.user ?? 'nobody'))
app.get('/count', (request, response) => {
  request.session.count = (request.session.count ?? 0) + 1
  response.send(String(request.session.count))
})
app.post('/login', (request, response) => {
  if (request.body.password !== 'right') return response.status(403).send('wrong')
  request.session.regenerate(() => {
    request.session.user = request.body.user
    response.cookie('theme', 'dark', { maxAge: 365 * 86_400_000 })
    if (request.body.remember) {
      const token = fresh()
      remembered.set(token, request.body.user)
      response.cookie('remember', token, { httpOnly: true, maxAge: 30 * 86_400_000 })
    }
    response.redirect('/whoami')
  })
})
app.post('/transfer', (request, response) => {
  const { xsrf } = cookiesOf(request)
  response.status(request.get('x-xsrf') === xsrf ? 200 : 403).send('transfer')
})
app.post('/logout', (request, response) => {
  remembered.delete(cookiesOf(request).remember)
  request.session.destroy(() => response.clearCookie('connect.sid').clearCookie('remember').send('bye'))
})

app.listen(Number(process.env.PORT), '127.0.0.1')
