import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createRegistries } from '../../src/registries/registries.js'
import { tokenNameWarnings } from '../../src/service/token-name-warnings.js'
import { openApp, type TestApp } from '../servers/app.js'

const warnings = (tokenNames: string[], registries: Record<string, string[]>): string[] => {
  const configured = Object.entries(registries).map(([name, aliases]) => ({ name, aliases }))
  return tokenNameWarnings({ tokenNames, identity: { configured: createRegistries(() => configured, tokenNames) } })
}

const REGISTRIES = { 'first.corp.example': [], 'second.corp.example': ['second.local'] }

test.each(['second.corp.exmaple', 'secnd.corp.example', 'second.corp.examples', 'seccond.corp.example'])(
  'the name %s of a token is a typo of a registry',
  (name) => {
    expect(warnings(['first.corp.example', name, name], REGISTRIES)).toEqual([
      `notification_tokens: ${name} (did you mean second.corp.example?) is not under registries, so events with its token count ` +
        `for a registry of this name: correct the name, or add ${name} to registries`,
    ])
  },
)

test('a name of a token that is like no registry is reported without a suggestion, and known names are not', () => {
  expect(warnings(['other.example'], REGISTRIES)).toEqual([
    expect.stringMatching(/^notification_tokens: other\.example is not under registries, /),
  ])
  expect(warnings(['first.corp.example', 'second.local'], REGISTRIES)).toEqual([])
  expect(warnings(['first.corp.example'], {})).toEqual([])
})

let app: TestApp
beforeAll(async () => {
  app = await openApp({
    TALLYMAN_REGISTRIES: '{"second.corp.example": []}',
    TALLYMAN_NOTIFICATION_TOKENS: '{"second.corp.exmaple": "a-token-of-24-characters"}',
  })
})
afterAll(async () => app.close())

test('the status has the warning', async () => {
  const { warnings } = (await (await app.get('/status')).json()) as { warnings: string[] }
  expect(warnings).toContainEqual(expect.stringContaining('did you mean second.corp.example?'))
})
