import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { openApp, type TestApp } from '../servers/app.js'
import { API_TOKEN, NOTIFICATION_TOKEN, ROOT } from '../servers/service.js'

const PAGE = readFileSync(join(ROOT, 'docs', 'api.md'), 'utf8')
const TOKENS: Record<string, string> = { TOKEN: NOTIFICATION_TOKEN, API: API_TOKEN }
const GETS = /^curl (?:-s )?-H "Authorization: Bearer \$(\w+)"[\s\\]+'?http:\/\/127\.0\.0\.1:3000([^\s']+)/gm
const examples = [...PAGE.matchAll(GETS)].map(([, token = '', path = '']) => [token, path] as const)

describe('docs/api.md', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await openApp()
  })
  afterAll(async () => app.close())

  test('has examples of what can be asked of pulls', () => {
    expect(examples.map(([, path]) => path.split('?')[0])).toEqual(
      expect.arrayContaining(['/pulls', '/pulls/last-used', '/requests', '/usage_data/service_ping', '/metrics']),
    )
  })

  test.each(examples)('the example with $%s of %s is answered', async (token, path) => {
    const { status } = await app.get(path, { authorization: `Bearer ${TOKENS[token] ?? ''}` })
    expect(status).toBe(200)
  })
})
