import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { ASSERTION_SECRET, startWorld } from '../support/world.ts'
import { missing, PYTHON, startProgram, toolchains } from './adapters/toolchains.ts'

test('Django\'s own login, logout and messages work on the gateway\'s session', async ({ skip }) => {
  const django = toolchains.find(({ name }) => name === 'django')
  const reason = django && await missing(django)
  skip(reason !== undefined, reason)
  const directory = await mkdtemp(join(tmpdir(), 'sessiongate-django-auth-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const program = fileURLToPath(new URL('adapters/django_auth_app.py', import.meta.url))
  await using app = await startProgram([PYTHON, program, join(directory, 'users.sqlite')], { ...django?.env, ASSERTION_SECRET })
  await using world = await startWorld({ upstream: { targets: [`http://127.0.0.1:${app.port}`] } })
  const { client } = world

  expect((await client.post('/login?user=ann&password=wrong')).status).toBe(403)
  expect(client.jar.all()).toEqual([])

  await client.post('/browse')
  const anonymous = client.jar.get('sid')?.value
  await client.post('/login?user=ann&password=chalk')
  expect(client.jar.get('sid')?.value).not.toBe(anonymous)
  expect((await client.get('/session')).json(), app.log()).toEqual({ user: 'ann', messages: ['Welcome'] })
  expect((await client.get('/session')).json()).toEqual({ user: 'ann', messages: [] })

  await client.post('/logout')
  expect(client.jar.all()).toEqual([])
  expect((await client.get('/session')).json()).toEqual({ user: '', messages: [] })
})
