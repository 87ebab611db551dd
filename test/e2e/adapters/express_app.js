// The adapters' common small app, on Express.
import express from 'express'
import { sessiongate } from '../../../examples/adapters/express/sessiongate-express.js'

const app = express()
app.use(sessiongate({ secrets: { a1: process.env.ASSERTION_SECRET }, audience: 'app' }))
app.use((req, res, next) => (req.session ? next() : res.status(403).send('no session')))

app.get('/session', (req, res) => res.json(req.session))
app.post('/set', (req, res) => {
  req.session[req.query.name] = JSON.parse(req.query.value)
  res.send('ok')
})
app.post('/drop', (req, res) => {
  delete req.session[req.query.name]
  res.send('ok')
})
app.post('/visit', (req, res) => {
  req.session.user.visits += 1
  res.send('ok')
})
app.post('/login', (req, res) => {
  req.session.rotate().user = { id: req.query.user, visits: 0 }
  res.send('ok')
})
app.post('/remember', (req, res) => {
  req.session.cookie.maxAge = 1_200_000
  res.send('ok')
})
app.post('/logout', (req, res) => req.session.destroy(() => res.send('ok')))
app.post('/restart', (req, res) => {
  req.session.regenerate(() => {
    req.session.fresh = true
    req.session.save(() => res.send('ok'))
  })
})
app.post('/null', (req, res) => {
  req.session = null
  res.send('ok')
})
app.post('/raw', (req, res) => {
  req.session.raw = true
  res.writeEarlyHints({ link: '</style.css>; rel=preload' })
  res.writeHead(200, 'Fine', { 'content-type': 'text/plain' })
  res.end('ok')
})

app.listen(Number(process.env.PORT), '127.0.0.1')
