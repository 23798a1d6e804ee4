import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import { ARTIFACT } from '../../../src/events/descriptor.js'
import type { RegistryClient } from '../../../src/registries/client/registry-client.js'
import { fixedClock } from '../../servers/clock.js'
import { aManifest, anImage, descriptor, digestOf, OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'
import { startStub, type Stub, type StubRequest } from '../../servers/stub.js'

const LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
const SCHEMA_2 = 'application/vnd.docker.distribution.manifest.v2+json'
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
const PATH = '/v2/team/app/manifests/'
const imageFields = { config: descriptor('c', OCI_CONFIG), layers: [descriptor('l')] }

const UNKNOWN = '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'

type Answer = { status?: number; headers?: Record<string, string>; body?: string | Buffer }

describe('a registry', () => {
  let registry: Stub
  let elsewhere: Stub
  let answer: (request: StubRequest) => Answer | undefined
  beforeAll(async () => {
    registry = await startStub((request, response) => {
      const answered = answer(request)
      if (!answered) return
      const { status = 200, headers = {}, body = '' } = answered
      response.writeHead(status, headers).end(body)
    })
    elsewhere = await startStub((_, response) => response.end('{}'))
  })
  afterEach(() => {
    registry.requests.length = 0
    expect(elsewhere.requests).toEqual([])
  })
  afterAll(async () => {
    await registry.stop()
    await elsewhere.stop()
  })

  const client = (options: { path?: string; timeLimitMs?: number } = {}): RegistryClient =>
    createRegistryClient(
      { name: 'registry.example', aliases: [], url: registry.url + (options.path ?? ''), username: 'u', password: 'p' },
      { userAgent: 'tallyman/1 (key)', now: fixedClock, ...options },
    )
  const paths = (): string[] => registry.requests.map(({ path }) => path)
  const serves = (objects: Record<string, Answer>): void => {
    answer = ({ path }) => objects[path] ?? { status: 404, body: UNKNOWN }
  }
  const image = anImage('one')

  test('is asked for a manifest by repository and digest, with all four media types, by our name', async () => {
    serves({
      [PATH + image.digest]: { body: image.bytes, headers: { 'content-type': OCI_IMAGE } },
      [`/v2/team/app/blobs/${digestOf('one config')}`]: { body: 'one config' },
    })
    expect(await client().manifest('team/app', image.digest)).toEqual({
      digest: image.digest,
      mediaType: OCI_IMAGE,
      size: image.bytes.length,
      config: digestOf('one config'),
      contents: [descriptor('one config', OCI_CONFIG), descriptor('one layer')],
    })
    const [request] = registry.requests
    expect(request?.headers).toMatchObject({ 'user-agent': 'tallyman/1 (key)' })
    expect(request?.headers.authorization).toBeUndefined()
    expect(request?.headers.accept?.split(', ').sort()).toEqual([LIST, SCHEMA_2, OCI_INDEX, OCI_IMAGE].sort())
  })

  test('may stand below a path', async () => {
    serves({ [`/registry${PATH}${image.digest}`]: { body: image.bytes } })
    expect(await client({ path: '/registry/' }).manifest('team/app', image.digest)).toMatchObject({
      mediaType: OCI_IMAGE,
    })
  })

  test('returns the platform in the config of an image', async () => {
    const config = JSON.stringify({ os: 'linux', architecture: 'arm', variant: 'v7', config: { Env: ['SECRET=1'] } })
    const arm = anImage('arm', { config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: 1 } })
    const blob = `/v2/team/app/blobs/${digestOf(config)}`
    serves({ [PATH + arm.digest]: { body: arm.bytes }, [blob]: { body: config } })
    expect(await client().manifest('team/app', arm.digest)).toMatchObject({
      platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
    })
    for (const other of [
      { body: `${config} ` },
      { status: 500 },
      { status: 307, headers: { location: `${elsewhere.url}/blob` } },
      { body: Buffer.alloc(5 * 1024 * 1024) },
    ]) {
      serves({ [PATH + arm.digest]: { body: arm.bytes }, [blob]: other })
      const read = await client().manifest('team/app', arm.digest)
      expect(read).toMatchObject({ digest: arm.digest })
      expect(read?.platform).toBeUndefined()
    }
  })

  test('returns the children of an index with their platforms, and an artifact with its type and subject', async () => {
    const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' }
    const index = aManifest({ manifests: [descriptor('child', OCI_IMAGE, { platform })] })
    const empty = aManifest({ mediaType: OCI_INDEX, manifests: [] })
    const signature = aManifest({
      mediaType: OCI_IMAGE,
      artifactType: 'application/vnd.example.signature',
      config: descriptor('{}', 'application/vnd.oci.empty.v1+json'),
      layers: [descriptor('signature')],
      subject: descriptor('child', OCI_IMAGE),
    })
    const chart = aManifest({ config: descriptor('chart', 'application/vnd.cncf.helm.config.v1+json'), layers: [] })
    const all = [index, empty, signature, chart]
    serves(Object.fromEntries(all.map(({ digest, bytes }) => [PATH + digest, { body: bytes }])))
    const read = async ({ digest }: { digest: string }) => client().manifest('team/app', digest)
    expect(await read(index)).toMatchObject({
      mediaType: OCI_INDEX,
      contents: [{ ...descriptor('child', OCI_IMAGE), platform }],
    })
    expect(await read(empty)).toMatchObject({ mediaType: OCI_INDEX, contents: [] })
    expect(await read(signature)).toMatchObject({
      artifactType: 'application/vnd.example.signature',
      subject: digestOf('child'),
    })
    expect(await read(chart)).toMatchObject({ artifactType: 'application/vnd.cncf.helm.config.v1+json' })
    expect(paths()).toHaveLength(4)
  })

  test('may serve schema 1, whose digest leaves its signatures out', async () => {
    const payload = `{"schemaVersion":1,"architecture":"amd64","fsLayers":[{"blobSum":"${digestOf('a')}"}]}`
    const part = { formatLength: payload.length - 1, formatTail: Buffer.from('}').toString('base64url') }
    const signed = `${payload.slice(0, -1)},"signatures":[{"protected":"${Buffer.from(JSON.stringify(part)).toString('base64url')}"}]}`
    serves({ [PATH + digestOf(payload)]: { body: signed } })
    expect(await client().manifest('team/app', digestOf(payload))).toMatchObject({
      mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
      contents: [{ digest: digestOf('a') }],
      platform: { architecture: 'amd64' },
      size: payload.length,
    })
  })

  test('proves with a digest nothing beside the bytes that it is of: neither a size nor a media type', async () => {
    const part = { formatLength: image.bytes.length - 1, formatTail: Buffer.from('}').toString('base64url') }
    const signatures = [{ protected: Buffer.from(JSON.stringify(part)).toString('base64url') }]
    const padded = `${image.bytes.slice(0, -1)},"schemaVersion":1,"pad":"${'x'.repeat(1_000)}","signatures":${JSON.stringify(signatures)}}`
    serves({ [PATH + image.digest]: { body: padded } })
    await expect(client().manifest('team/app', image.digest)).rejects.toThrow('other bytes')

    const untyped = aManifest(imageFields)
    for (const type of [ARTIFACT, SCHEMA_1, OCI_INDEX]) {
      serves({ [PATH + untyped.digest]: { body: untyped.bytes, headers: { 'content-type': type } } })
      expect((await client().manifest('team/app', untyped.digest))?.mediaType).toBe(OCI_IMAGE)
    }
  })

  test('is not believed what the signatures of schema 1 do not cover', async () => {
    const part = { formatLength: 0, formatTail: Buffer.from(image.bytes).toString('base64url') }
    const forged = JSON.stringify({
      ...(JSON.parse(anImage('forged').bytes) as object),
      signatures: [{ protected: Buffer.from(JSON.stringify(part)).toString('base64url') }],
    })
    serves({ [PATH + image.digest]: { body: forged } })
    await expect(client().manifest('team/app', image.digest)).rejects.toThrow('other bytes')
  })

  test('is asked by tag as well, and believed when its digest is right', async () => {
    const bytes = image.bytes
    const long = digestOf(bytes, 'sha512')
    serves({
      [`${PATH}1.0`]: { body: bytes },
      [`${PATH}long`]: { body: bytes, headers: { 'docker-content-digest': long } },
      [`${PATH}wrong`]: { body: bytes, headers: { 'docker-content-digest': digestOf('x') } },
      [PATH + long]: { body: bytes },
    })
    expect((await client().manifest('team/app', '1.0'))?.digest).toBe(image.digest)
    expect((await client().manifest('team/app', 'long'))?.digest).toBe(long)
    expect((await client().manifest('team/app', long))?.digest).toBe(long)
    await expect(client().manifest('team/app', 'wrong')).rejects.toThrow('other bytes than those of wrong of team/app')
    expect([await client().digestOf('team/app', '1.0'), await client().digestOf('team/app', 'long')]).toEqual([
      image.digest,
      long,
    ])
    expect(await client().digestOf('team/app', 'none')).toBeUndefined()
  })

  test.each([
    ['the wrong bytes', { body: `${image.bytes} ` }, 'answered with other bytes than those of sha256:'],
    ['5 MiB', { body: Buffer.alloc(5 * 1024 * 1024, ' ') }, 'answered with more than 4 MiB'],
    ['401', { status: 401 }, 'answered 401 when asked for manifest sha256:'],
    ['403', { status: 403 }, 'give the registry credentials in the configuration that may pull'],
    ['500', { status: 500 }, 'answered 500 when asked for manifest sha256:'],
  ])('that answers %s is named in the error', async (_, wrong, message) => {
    serves({ [PATH + image.digest]: wrong })
    await expect(client().manifest('team/app', image.digest)).rejects.toThrow(message)
    await expect(client().manifest('team/app', image.digest)).rejects.toThrow(new URL(registry.url).host)
  })

  test.each([
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['nothing of a manifest', '{"hello":1}'],
    ['a layer without a digest', '{"config":{},"layers":[{}]}'],
    ['children that are none', '{"manifests":[null,1]}'],
    ['50,001 layers', JSON.stringify({ layers: Array(50_000).fill({ digest: 'a:b' }), config: descriptor('b') })],
    ['deep nesting', '['.repeat(100_000)],
  ])('that answers with %s returns no manifest', async (_, body) => {
    serves({ [PATH + digestOf(body)]: { body } })
    await expect(client().manifest('team/app', digestOf(body))).rejects.toThrow('answered with no manifest')
  })

  test('that has 30,000 layers, and odd fields beside them, is a manifest', async () => {
    const layers = Array.from({ length: 30_000 }, (_, i) => ({
      digest: digestOf(String(i)),
      size: i,
      ...(i === 7 && { annotations: 17, urls: {}, platform: 'linux', mediaType: 'a\0b' }),
    }))
    const body = JSON.stringify({ layers, config: descriptor('b'), annotations: ['x'], artifactType: 7, subject: 'x' })
    serves({ [PATH + digestOf(body)]: { body } })
    const read = await client().manifest('team/app', digestOf(body))
    expect(read?.contents).toHaveLength(30_001)
    expect(read?.contents[8]).toEqual({ digest: digestOf('7'), size: 7 })
  })

  test.each([
    ['an index', { mediaType: OCI_INDEX, manifests: null }, OCI_INDEX, 0],
    ['an index that does not name its type', { manifests: null }, OCI_INDEX, 0],
    ['an image', { config: descriptor('c', OCI_CONFIG), layers: null }, OCI_IMAGE, 1],
    ['an image with a list of another kind', { manifests: null, ...imageFields }, OCI_IMAGE, 2],
    ['an artifact', { mediaType: ARTIFACT, blobs: null }, ARTIFACT, 0],
    ['an artifact that leaves its list out', { mediaType: ARTIFACT }, ARTIFACT, 0],
    ['schema 1', { mediaType: SCHEMA_1, fsLayers: null }, SCHEMA_1, 0],
  ])('that has null where the list of %s is empty is believed', async (_, fields, mediaType, entries) => {
    const { digest, bytes } = aManifest(fields)
    serves({ [PATH + digest]: { body: bytes } })
    const read = await client().manifest('team/app', digest)
    expect([read?.mediaType, read?.contents.length]).toEqual([mediaType, entries])
  })

  test('that has no names in a list may send null', async () => {
    serves({
      '/v2/_catalog?n=1000': { body: '{"repositories":null}' },
      '/v2/team/app/tags/list?n=1000': { body: '{"name":"team/app","tags":null}' },
    })
    expect(await client().catalog()).toEqual({ names: [] })
    expect(await client().tags('team/app')).toEqual({ names: [] })
  })

  test('that does not have it is no error', async () => {
    serves({})
    expect(await client().manifest('team/app', image.digest)).toBeUndefined()
    for (const code of ['NAME_UNKNOWN', 'BLOB_UNKNOWN', 'NOT_FOUND']) {
      answer = () => ({ status: 404, body: JSON.stringify({ errors: [{ code }] }) })
      expect(await client().tags('team/app')).toEqual({ names: [] })
      expect(await client().digestOf('team/app', 'latest')).toBeUndefined()
    }
  })

  test.each(['<html>Not Found</html>', '', '{"message":"Not Found"}', '{"errors":[{"code":"UNSUPPORTED"}]}'])(
    'is not believed to lack what a server that answers 404 with "%s" has not',
    async (body) => {
      answer = ({ method }) => ({ status: 404, ...(method !== 'HEAD' && { body }) })
      const { manifest, tags, digestOf: digest, blob } = client()
      for (const asked of [
        manifest('team/app', image.digest),
        tags('team/app'),
        digest('team/app', 'latest'),
        blob('team/app', image.digest),
      ]) {
        await expect(asked).rejects.toThrow(/answered 404 .* check its address in the configuration$/)
      }
    },
  )

  test('is followed on its own host, five times', async () => {
    const sent = (to: string): Answer => ({ status: 307, headers: { location: to } })
    serves({
      [PATH + image.digest]: sent('/v2/other'),
      '/v2/other': sent(`${registry.url}/v2/third`),
      '/v2/third': { body: image.bytes },
      [`${PATH}loop`]: sent(`${PATH}loop`),
    })
    expect((await client().manifest('team/app', image.digest))?.digest).toBe(image.digest)
    registry.requests.length = 0
    await expect(client().manifest('team/app', 'loop')).rejects.toThrow('redirects more than 5 times')
    expect(paths()).toHaveLength(6)
  })

  test('is not followed to another host, port or scheme', async () => {
    const { host, port } = new URL(registry.url)
    for (const location of [
      `${elsewhere.url}/x`,
      `http://localhost:${port}/x`,
      `https://${host}/x`,
      'file:///etc/passwd',
    ]) {
      serves({ [PATH + image.digest]: { status: 302, headers: { location } } })
      await expect(client().manifest('team/app', image.digest)).rejects.toThrow(
        'redirects to another host for manifest',
      )
    }
    expect(paths()).toHaveLength(4)
  })

  test('has its time, for the body as well', async () => {
    const hurried = client({ timeLimitMs: 200 })
    answer = () => undefined
    await expect(hurried.manifest('team/app', image.digest)).rejects.toThrow('did not answer in time')
    const slow = await startStub(async (_, response) => {
      while (!response.destroyed) {
        response.write(' ')
        await sleep(50)
      }
    })
    const slowly = createRegistryClient(
      { name: 'slow', aliases: [], url: slow.url },
      { userAgent: 'x', now: fixedClock, timeLimitMs: 200 },
    )
    await expect(slowly.manifest('team/app', image.digest)).rejects.toThrow('did not answer in time')
    await slow.stop()
  })

  test('that cannot be reached is reported with the reason', async () => {
    const gone = createRegistryClient(
      { name: 'gone', aliases: [], url: 'http://127.0.0.1:1/' },
      { userAgent: 'x', now: fixedClock },
    )
    await expect(gone.manifest('team/app', image.digest)).rejects.toThrow(/^127\.0\.0\.1:1 cannot be reached/)
  })

  test('is never asked for what is no repository, tag or digest', async () => {
    serves({})
    for (const [repository, reference] of [
      ['../admin', '1.0'],
      ['team/app', '../../x'],
      ['Team', '1.0'],
      ['team/app?x=', '1.0'],
    ] as const) {
      await expect(client().manifest(repository, reference)).rejects.toThrow(/name that registries|neither a tag/)
    }
    await expect(client().tags('a/../b')).rejects.toThrow('name that registries do not have')
    expect(paths()).toEqual([])
  })

  test('lists its repositories and tags page by page, whatever host its links name', async () => {
    const link = (last: string): Record<string, string> => ({
      link: `<${elsewhere.url}/v2/_catalog?last=${last}&n=1000>; rel="next"`,
    })
    serves({
      '/v2/_catalog?n=1000': { body: '{"repositories":["a","Not/One",3,"team/app"]}', headers: link('team%2Fapp') },
      '/v2/_catalog?n=1000&last=team%2Fapp': { body: '{"repositories":["z"]}' },
      '/v2/team/app/tags/list?n=1000': { body: '{"name":"team/app","tags":["1.0","../x"]}' },
      '/v2/team/empty/tags/list?n=1000': { body: '{"name":"team/app","tags":null}' },
      '/v2/_catalog?n=1000&last=z': { body: '{"repositories":["z"]}', headers: link('z') },
      '/v2/odd/tags/list?n=1000': { body: '{"tags":"all"}' },
    })
    expect(await client().catalog()).toEqual({ names: ['a', 'team/app'], next: 'team/app' })
    expect(await client().catalog('team/app')).toEqual({ names: ['z'] })
    expect(await client().tags('team/app')).toEqual({ names: ['1.0'] })
    expect(await client().tags('team/empty')).toEqual({ names: [] })
    expect(await client().tags('team/none')).toEqual({ names: [] })
    await expect(client().catalog('z')).rejects.toThrow('repositories with the same page again')
    await expect(client().tags('odd')).rejects.toThrow('no list of tags')
    await expect(client({ path: '/wrong' }).catalog()).rejects.toThrow('answered 404 when asked for its catalog')
  })

  test('takes all tags of a repository in one page, as many as a build system makes', async () => {
    const tags = Array.from({ length: 150_000 }, (_, i) => `sha-${String(i).padStart(40, '0')}`)
    serves({ '/v2/ci/app/tags/list?n=1000': { body: JSON.stringify({ name: 'ci/app', tags }) } })
    expect((await client().tags('ci/app')).names).toHaveLength(150_000)
  })

  test('says whether it has a blob, kept elsewhere or not', async () => {
    const path = `/v2/team/app/blobs/${digestOf('a')}`
    serves({ [path]: { headers: { 'content-length': '17' } } })
    expect(await client().blob('team/app', digestOf('a'))).toEqual({ size: 17 })
    expect(await client().blob('team/app', digestOf('b'))).toBeUndefined()
    serves({ [path]: { status: 307, headers: { location: `${elsewhere.url}/blob` } } })
    expect(await client().blob('team/app', digestOf('a'))).toEqual({})
    expect(registry.requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD', 'GET', 'HEAD'])
    serves({ [path]: { headers: { 'content-length': String(2 ** 43 + 1) } } })
    expect(await client().blob('team/app', digestOf('a'))).toEqual({})
  })
})
