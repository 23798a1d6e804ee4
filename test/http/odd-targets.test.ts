import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { createSender, type RawAnswer } from '../servers/fuzz.js'
import { API_TOKEN } from '../servers/service.js'

describe('a request whose target is the whole URL', () => {
  let app: TestApp
  let sender: ReturnType<typeof createSender>
  beforeAll(async () => {
    app = await openApp()
    sender = createSender(app.url)
    const digest = `sha256:${'a1'.repeat(32)}`
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const events = ['1.0', '2.0'].map((tag) => notified({ target: { repository: 'team/app', tag, digest, mediaType } }))
    expect((await app.notify({ events })).status).toBe(200)
  })
  afterAll(async () => {
    sender.close()
    await app.close()
  })

  const get = async (target: string, token = API_TOKEN): Promise<RawAnswer> =>
    sender.send({ method: 'GET', target, headers: { authorization: `Bearer ${token}` } })

  test.each(['http://tallyman', 'HTTP://a@b:443', 'http://a:99999999', '//a@b:99999999'])(
    'has a link to the next page without an authority: %s',
    async (authority) => {
      const { status, headers, body } = await get(`${authority}/inventory/tags?repository=team%2Fapp&limit=1#x`)
      expect([status, body]).toEqual([200, expect.stringContaining('"1.0"')])
      const link = /^<(\/inventory\/tags\?repository=team%2Fapp&limit=1&cursor=[\w%-]+)>; rel="next"$/.exec(
        String(headers.link),
      )?.[1]
      expect((await get(String(link))).body).toContain('"2.0"')
    },
  )

  test.each(['http://[::1', 'http://[', '//a@[b', 'x://[y'])(
    'is refused in JSON if its path cannot be read: %s',
    async (authority) => {
      for (const token of [API_TOKEN, 'wrong']) {
        const { status, headers, body } = await get(`${authority}/inventory/tags?limit=1#x`, token)
        expect({ status, body: JSON.parse(body) as unknown }).toEqual({
          status: 400,
          body: { message: '400 Bad Request: the target of the request has no readable path' },
        })
        expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
      }
    },
  )

  test('is answered in JSON if there is nothing under its path', async () => {
    for (const target of ['*', 'http://tallyman', 'x://y/', 'http://tallyman/%zz', '//a:99999999/inventory/tags']) {
      const { status, body } = await get(target)
      expect([target, status, body]).toEqual([target, 404, expect.stringContaining('{"message":"404 Not Found: ')])
    }
  })
})
