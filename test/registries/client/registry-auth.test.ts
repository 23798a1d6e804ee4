import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Credentials } from '../../../src/registries/client/credentials.js'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import type { Registry } from '../../../src/registries/registries.js'
import type { RegistryClient } from '../../../src/registries/client/registry-client.js'
import { fixedClock } from '../../servers/clock.js'
import { anImage } from '../../servers/manifests.js'
import { startStub, type Stub, type StubRequest } from '../../servers/stub.js'

const IMAGE = anImage('one')
const BASIC = `Basic ${Buffer.from('alice:se:cret').toString('base64')}`
const ALICE = { username: 'alice', password: 'se:cret' }

/** A registry that wants a token for each repository, and the server that gives them. */
describe('a registry that wants to know who asks', () => {
  let registry: Stub
  let auth: Stub
  let at: number
  let challenge: (repository: string) => string
  let give: (
    request: StubRequest,
    scope: string,
  ) => { status?: number; headers?: Record<string, string>; body: object | string }
  /** Tokens that open a door, by repository. */
  let valid: Map<string, string>
  let given = 0

  beforeAll(async () => {
    registry = await startStub(({ path, headers }, response) => {
      if (path.startsWith('/v2/_catalog')) {
        return response.writeHead(401, { 'www-authenticate': challenge('') }).end()
      }
      const repository = /^\/v2\/(.+)\/(manifests|blobs)\//.exec(path)?.[1] ?? ''
      if (headers.authorization !== valid.get(repository)) {
        return response.writeHead(401, { 'www-authenticate': challenge(repository) }).end()
      }
      return path.includes('/blobs/') ? response.writeHead(404).end() : response.end(IMAGE.bytes)
    })
    auth = await startStub((request, response) => {
      const scope =
        new URL(request.path, 'http://x').searchParams.get('scope') ?? new URLSearchParams(request.body).get('scope')
      const { status = 200, headers = {}, body } = give(request, scope ?? '')
      response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
    })
  })
  afterAll(async () => {
    await registry.stop()
    await auth.stop()
  })
  beforeEach(() => {
    at = 0
    valid = new Map(['team/app', 'team/other'].map((repository) => [repository, 'nothing yet']))
    challenge = (repository) =>
      `Bearer realm="${auth.url}/token?account=x",service="registry.example",scope="repository:${repository}:pull"`
    give = (_, scope) => ({ body: { token: tokenFor(scope), expires_in: 300 } })
  })
  afterEach(() => {
    registry.requests.length = 0
    auth.requests.length = 0
  })

  const tokenFor = (scope: string): string => {
    const token = `token-${++given}`
    valid.set(scope.split(':')[1] ?? '', `Bearer ${token}`)
    return token
  }
  const configured = (): Registry => ({
    name: 'registry.example',
    aliases: [],
    url: registry.url,
    tokenHost: new URL(auth.url).host,
  })
  const client = (credentials: Credentials | undefined = ALICE, one: Registry = configured()): RegistryClient =>
    createRegistryClient(one, {
      userAgent: 'tallyman/1.0 (key)',
      tokenUserAgent: 'tallyman/1.0',
      now: () => new Date(at),
      findCredentials: async () => Promise.resolve(credentials),
    })
  const asked = (): number => auth.requests.length
  const problemOf = async (one: RegistryClient): Promise<string> =>
    one.manifest('team/app', IMAGE.digest).then(
      () => 'none',
      (error: unknown) => String(error),
    )

  test('is answered with a token, asked for with the credentials at the address it names', async () => {
    expect(await client().manifest('team/app', IMAGE.digest)).toMatchObject({ digest: IMAGE.digest })
    expect(auth.requests).toMatchObject([
      {
        method: 'GET',
        path: '/token?account=x&service=registry.example&scope=repository%3Ateam%2Fapp%3Apull',
        headers: { authorization: BASIC },
      },
    ])
    expect(registry.requests.map(({ headers }) => headers.authorization)).not.toContain(BASIC)
  })

  test('is answered with the same token until it expires, each repository with its own', async () => {
    const one = client()
    for (let i = 0; i < 3; i++) await one.manifest('team/app', IMAGE.digest)
    expect([asked(), registry.requests.filter(({ path }) => path.includes('/manifests/')).length]).toEqual([1, 4])
    await one.manifest('team/other', IMAGE.digest)
    expect(asked()).toBe(2)
    at += 200_000
    await one.manifest('team/app', IMAGE.digest)
    expect(asked()).toBe(2)
    at += 90_000
    await one.manifest('team/app', IMAGE.digest)
    expect(asked()).toBe(3)
  })

  test('is answered with access_token as well, which is good for 60 s unless it says more', async () => {
    give = (_, scope) => ({ body: { access_token: tokenFor(scope) } })
    const one = client()
    await one.manifest('team/app', IMAGE.digest)
    at += 50_000
    await one.manifest('team/app', IMAGE.digest)
    expect(asked()).toBe(1)
    at += 10_000
    await one.manifest('team/app', IMAGE.digest)
    expect(asked()).toBe(2)
  })

  test('may take back a token before its time', async () => {
    const one = client()
    await one.manifest('team/app', IMAGE.digest)
    valid.set('team/app', 'another')
    expect(await one.manifest('team/app', IMAGE.digest)).toMatchObject({ digest: IMAGE.digest })
    expect(asked()).toBe(2)
  })

  test('is asked for one token when many manifests are read at once', async () => {
    const one = client()
    await Promise.all(Array.from({ length: 8 }, async () => one.manifest('team/app', IMAGE.digest)))
    expect(asked()).toBe(1)
  })

  test('may offer several ways, of which the token is taken', async () => {
    const bearer = challenge
    challenge = (repository) => `Negotiate, Basic realm="r", ${bearer(repository)}`
    expect(await problemOf(client())).toBe('none')
    expect(asked()).toBe(1)
  })

  test('takes a user name and password themselves, from then on at once', async () => {
    challenge = () => 'Basic realm="r"'
    valid.set('team/app', BASIC)
    const one = client()
    expect([await problemOf(one), await problemOf(one), asked()]).toEqual(['none', 'none', 0])
    const sent = registry.requests.filter(({ path }) => path.includes('/manifests/'))
    expect(sent.map(({ headers }) => headers.authorization)).toEqual([undefined, BASIC, BASIC])
  })

  test('gives a token for a refresh token', async () => {
    expect(await problemOf(client({ identityToken: 'refresh-1' }))).toBe('none')
    const [request] = auth.requests
    expect([request?.method, request?.path, request?.headers.authorization]).toEqual([
      'POST',
      '/token?account=x',
      undefined,
    ])
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-1',
      client_id: 'tallyman',
      service: 'registry.example',
      scope: 'repository:team/app:pull',
    })
  })

  test('gives a token to everybody, for what is public', async () => {
    const one = createRegistryClient(configured(), { userAgent: 'x', now: fixedClock })
    expect(await problemOf(one)).toBe('none')
    expect(auth.requests[0]?.headers.authorization).toBeUndefined()
  })

  test('that refuses gives an error with advice and without the secret', async () => {
    const remedy = 'give the registry credentials in the configuration that may pull'
    give = () => ({ status: 401, body: {} })
    const problems = [await problemOf(client())]
    challenge = () => 'Basic realm="r"'
    problems.push(await problemOf(client()))
    for (const problem of problems) {
      expect(problem).toContain(remedy)
      expect(problem).not.toMatch(/se:cret|Basic/)
    }
  })

  test.each([
    ['no JSON', 'se:cret'],
    ['no token', {}],
    ['a token that is none', { token: 'a\nb: c' }],
  ])('is not answered when the token server gives %s', async (_, body) => {
    give = () => ({ body })
    const problem = await problemOf(client())
    expect(problem).toContain('was asked for a token and answered without one')
    expect(problem).not.toContain('se:cret')
  })

  test.each([
    ['no address', '/token', 'is not an http or https address'],
    ['a file', 'file:///etc/passwd', 'is not an http or https address'],
    ['an address with credentials', 'https://u:p@auth.example/', 'contains credentials'],
    ['another host without TLS', 'http://auth.example/token', 'is not https'],
    ['the address of a cloud', 'http://169.254.169.254/token', 'is not https'],
    ['another site', 'https://auth.example/token', 'token_host: "auth.example"'],
  ])('that sends to %s for a token gets no answer', async (_, realm, reason) => {
    challenge = () => `Bearer realm="${realm}"`
    const problem = await problemOf(client())
    expect(problem).toContain('refers to a token server at ')
    expect(problem).toContain(reason)
  })

  test('gets no request to another server on its host that the operator did not name, with or without credentials', async () => {
    const { tokenHost, ...unnamed } = configured()
    for (const credentials of [ALICE, { identityToken: 'refresh-1' }, undefined]) {
      expect(await problemOf(client(credentials, unnamed))).toContain(`token_host: "${String(tokenHost)}"`)
    }
    expect(asked()).toBe(0)
  })

  test.each([
    ['to push', 'repository:team/app:pull,push,delete'],
    ['for another repository', 'repository:secret/app:pull'],
    ['for everything', 'registry:catalog:* repository:*:*'],
    ['for nothing', ''],
  ])('that challenges with a scope %s is answered with a token to pull', async (_, scope) => {
    challenge = () =>
      `Bearer realm="${auth.url}/token?scope=repository:team/app:*&service=other",service="s",scope="${scope}"`
    expect(await problemOf(client())).toBe('none')
    expect(await problemOf(client({ identityToken: 'refresh-1' }))).toBe('none')
    const [get, post] = auth.requests
    expect([get?.path, post?.path]).toEqual(['/token?service=s&scope=repository%3Ateam%2Fapp%3Apull', '/token'])
    expect(new URLSearchParams(post?.body).getAll('scope')).toEqual(['repository:team/app:pull'])
  })

  test('gets a token for its catalog, and for nothing else with it', async () => {
    challenge = () => `Bearer realm="${auth.url}/token",service="s",scope="repository:team/app:push"`
    await client()
      .catalog()
      .catch(() => undefined)
    expect(auth.requests[0]?.path).toBe('/token?service=s&scope=registry%3Acatalog%3A*')
  })

  test('has a key of our own reads that its token server does not get', async () => {
    await client().manifest('team/app', IMAGE.digest)
    expect(registry.requests[0]?.headers['user-agent']).toBe('tallyman/1.0 (key)')
    expect(auth.requests[0]?.headers['user-agent']).toBe('tallyman/1.0')
  })

  test('is not answered when the token server answers without an end', async () => {
    give = () => ({ body: { token: 'x'.repeat(300_000) } })
    expect(await problemOf(client())).toContain('answered with more than 0.25 MiB')
  })

  test('whose token server redirects gets nothing: credentials go nowhere else', async () => {
    const elsewhere = await startStub((_, response) => response.end('{}'))
    give = () => ({ status: 307, headers: { location: elsewhere.url }, body: {} })
    expect(await problemOf(client())).toContain('answered 307 when asked for a token')
    expect([asked(), elsewhere.requests.length]).toEqual([1, 0])
    await elsewhere.stop()
  })
})
