import { expect, test } from '@jest/globals'
import { credentialsOf } from '../../../src/registries/client/credentials.js'

test.each([
  ['after five minutes', '2026-11-21T12:05:00Z'],
  ['if the clock was ahead', '2026-11-21T10:00:00Z'],
])('credentials are looked up again %s', async (_, later) => {
  let now = new Date('2026-11-21T12:00:00Z')
  let lookUps = 0
  const find = async (): Promise<{ username: string; password: string }> =>
    Promise.resolve({ username: 'u', password: `password ${++lookUps}` })
  const credentials = credentialsOf(
    { name: 'registry.example', aliases: [], url: 'https://registry.example' },
    { find, now: () => now },
  )
  await credentials()
  await credentials()
  expect(lookUps).toBe(1)
  now = new Date(later)
  expect(await credentials()).toMatchObject({ password: 'password 2' })
})
