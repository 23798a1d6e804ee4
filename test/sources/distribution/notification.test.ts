import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { microsOf, parseTimestamp } from '../../../src/events/calendar.js'
import { readEnvelope } from '../../../src/sources/distribution/envelope.js'
import { NotADelivery, TooManyValues } from '../../../src/sources/sender.js'
import { isRepositoryPath, isTag } from '../../../src/events/reference.js'
import type { ReportedEvent, UnreadableEvent } from '../../../src/events/reported-item.js'
import { reasonsWith } from '../../../src/events/outcome-reason.js'
import { isEmptyIndex } from '../../../src/events/descriptor.js'
import { runs } from '../../servers/runs.js'

const NOW = microsOf(new Date('2026-11-21T12:00:00Z'))
const DIGEST = 'sha256:7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4'

const good = {
  id: '88BD8D68-f8c2-446d-bca0-218a0c6dc671',
  timestamp: '2026-11-21T10:49:34.648759891Z',
  action: 'push',
  target: { repository: 'team/app', tag: '1.0', digest: DIGEST, size: 582 },
  request: { id: 'r', addr: '203.0.113.9:34560', host: 'Registry.example:5000', method: 'put' },
  actor: { name: 'alice', user_type: 'build', user: 'a.b.c' },
  source: { addr: 'vm:5000' },
}

const read = (...events: unknown[]): (ReportedEvent | UnreadableEvent)[] =>
  readEnvelope(Buffer.from(JSON.stringify({ events })), NOW)
const readOne = (event: unknown): ReportedEvent | UnreadableEvent => {
  const [one] = read(event)
  if (!one) throw new Error('nothing was read')
  return one
}
const withTarget = (target: object): object => ({ ...good, target: { ...good.target, ...target } })

describe('an event of a registry', () => {
  test('is read into our own words', () => {
    expect(readOne(good)).toEqual({
      id: '88bd8d68-f8c2-446d-bca0-218a0c6dc671',
      at: parseTimestamp(good.timestamp),
      action: 'push',
      host: 'registry.example:5000',
      repository: 'team/app',
      tag: '1.0',
      digest: DIGEST,
      object: 'manifest',
      size: 582,
      method: 'PUT',
      requestId: 'r',
      address: '203.0.113.9',
      actor: { name: 'alice', type: 'build', token: 'a.b.c' },
    })
  })

  const INDEX = 'application/vnd.oci.image.index.v1+json'
  test.each<[string, object, object]>([
    ['the path of its URL', { url: `http://r/v2/a/manifests/${DIGEST}`, mediaType: 'x/y' }, { object: 'manifest' }],
    ['a relative URL', { url: `/v2/a/blobs/${DIGEST}`, mediaType: 'x/y' }, { object: 'blob' }],
    ['a path of which "manifests" is a part', { url: `/v2/org/manifests/app/blobs/${DIGEST}` }, { object: 'blob' }],
    ['the media type of a manifest', { tag: '', mediaType: INDEX }, { object: 'manifest', mediaType: INDEX }],
    ['its tag', { mediaType: 'application/vnd.example.unknown' }, { object: 'manifest' }],
    ['the media type of blobs', { tag: '', mediaType: 'application/octet-stream' }, { object: 'blob' }],
  ])('is about a manifest or a blob by %s', (_, target, expected) => {
    expect(readOne(withTarget(target))).toMatchObject(expected)
  })

  test('lists what a manifest refers to, or nothing when one of it cannot be read', () => {
    const platform = { os: 'linux', architecture: 'arm64', variant: 'v8', 'os.version': '1' }
    const references = [{ mediaType: 'a/b', size: 7, digest: DIGEST, platform, urls: ['x'] }, { digest: DIGEST }]
    expect(readOne(withTarget({ references }))).toMatchObject({
      references: [
        { digest: DIGEST, mediaType: 'a/b', size: 7, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
        { digest: DIGEST },
      ],
    })
    for (const broken of [{ digest: 'x' }, { digest: `${DIGEST}\0` }, null, 7, {}]) {
      expect(readOne(withTarget({ references: [...references, broken] }))).not.toHaveProperty('references')
    }
  })

  test('has no size of more than 8 TiB, nor has an entry of its manifest', () => {
    const largest = 2 ** 43
    const sizes = [largest, largest + 1, Number.MAX_SAFE_INTEGER]
    const references = sizes.map((size) => ({ digest: DIGEST, size }))
    expect(sizes.map((size) => readOne(withTarget({ size })))).toEqual([
      expect.objectContaining({ size: largest }),
      ...sizes.slice(1).map(() => expect.objectContaining({ unreadableFields: ['target.size'] })),
    ])
    expect(readOne(withTarget({ size: largest + 1 }))).not.toHaveProperty('size')
    expect(readOne(withTarget({ references }))).toMatchObject({
      references: [{ digest: DIGEST, size: largest }, { digest: DIGEST }, { digest: DIGEST }],
      unreadableFields: ['target.references'],
    })
    expect(readOne(withTarget({ references }))).not.toHaveProperty('references.1.size')
  })

  test.each([undefined, null, []])(
    'an index that is too small for an entry lists nothing (references: %j)',
    (references) => {
      const empty = { mediaType: INDEX, references, size: 89 }
      expect(readOne(withTarget(empty))).toMatchObject({ references: [] })
      for (const unknown of [
        { size: 145 },
        { size: 0 },
        { size: undefined },
        { mediaType: 'application/vnd.oci.image.manifest.v1+json' },
        { references: [{ digest: 'x' }] },
      ]) {
        expect(readOne(withTarget({ ...empty, ...unknown }))).not.toHaveProperty('references')
      }
    },
  )

  test('the smallest index that lists something is larger than one that lists nothing', () => {
    const manifests = [{ mediaType: 'a/b', digest: DIGEST, size: 1 }]
    const size = JSON.stringify({ schemaVersion: 2, manifests }).length
    expect(isEmptyIndex(INDEX, size)).toBe(false)
    expect(isEmptyIndex(INDEX, size - 1)).toBe(true)
  })

  test.each([
    ['192.0.2.1:4711', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['[fe80::1%br-12ab]:4711', 'fe80::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['somewhere:80', undefined],
    ['\0', undefined],
  ])('of %j has the address %j', (addr, address) => {
    const event = readOne({ ...good, request: { addr, useragent: 'a/1' } })
    expect(event).toMatchObject({ userAgent: 'a/1' })
    expect('address' in event ? event.address : undefined).toBe(address)
  })

  test('says what was renamed', () => {
    const rename = (told: object): unknown =>
      readOne({ ...good, action: 'rename', target: { repository: 'team/app', rename: told } })
    expect(rename({ type: 'namespace', from: 'team', to: 'crew' })).toMatchObject({
      rename: { what: 'namespace', from: 'team', to: 'crew' },
    })
    expect(rename({ type: 'name', from: 'team/app', to: 'team/web' })).toMatchObject({
      rename: { what: 'repository', from: 'team/app', to: 'team/web' },
    })
    expect(rename({ type: 'name', from: 'team/app', to: 'No Path' })).not.toHaveProperty('rename')
  })

  test('has no tag and no digest where distribution 3 sends them empty', () => {
    const event = readOne({ ...good, action: 'delete', target: { repository: 'team/app', digest: '', tag: '' } })
    expect('tag' in event || 'digest' in event).toBe(false)
  })

  test('keeps a UUID as its id, but not one of version 8, as which ids of contents are made', () => {
    const idOf = (id: unknown): string => readOne({ ...good, id }).id
    const marked = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
    const uuid = (version: string): string => `0190A8C5-1F2B-${version}-0123456789AB`
    for (const other of ['1C3D-9E4F', '4C3D-BE4F', '7C3D-8E4F', '8C3D-0E4F', '8C3D-CE4F'])
      expect(idOf(uuid(other))).toBe(uuid(other).toLowerCase())
    const made = Array.from({ length: 50 }, (_, i) => idOf(`by-hand-${i}`))
    expect(new Set(made).size).toBe(50)
    for (const id of [...made, idOf(undefined), idOf(uuid('8C3D-9E4F'))]) {
      expect(id).toMatch(marked)
      expect(idOf(id)).toMatch(marked)
      expect(idOf(id)).not.toBe(id)
      expect(idOf(id.toUpperCase())).toBe(idOf(id))
    }
  })

  test('needs neither id, request, actor nor source', () => {
    const { timestamp, action, target } = good
    expect(readOne({ timestamp, action, target })).toEqual({
      id: expect.any(String),
      contentsHash: expect.any(String),
      earlierIds: expect.any(Function),
      at: parseTimestamp(timestamp),
      action,
      object: 'manifest',
      repository: 'team/app',
      tag: '1.0',
      digest: DIGEST,
      size: 582,
      method: '',
      actor: {},
    })
  })

  test('ignores fields it does not know', () => {
    expect(readOne({ ...good, meta: { blob: {} }, target: { ...good.target, references: [{}] } })).toMatchObject({
      action: 'push',
    })
  })

  test('says what the client calls itself, if that can be told', () => {
    const userAgentOf = (useragent: unknown): unknown =>
      (readOne({ ...good, request: { ...good.request, useragent } }) as ReportedEvent).userAgent
    expect(userAgentOf('skopeo/1.9.3')).toBe('skopeo/1.9.3')
    for (const odd of [undefined, null, '', 7, ['x'], 'a\0b', '\ud800']) {
      expect(userAgentOf(odd)).toBeUndefined()
    }
    // What a client is stands at the beginning; no character is cut in two.
    expect(userAgentOf('x'.repeat(65_536))).toBe('x'.repeat(512))
    expect(userAgentOf(`${'x'.repeat(511)}😀y`)).toBe('x'.repeat(511))
  })

  test('a Host header that cannot be a host is not kept', () => {
    for (const host of ['evil <script>', 'unknown', 'Unknown', '', '--', '..', 'x]:-.', '__proto__', 'a:99999']) {
      expect(readOne({ ...good, source: {}, request: { host } })).not.toHaveProperty('host')
    }
  })

  test('a Host header that cannot be a host is counted by the name of its field, and the event counts', () => {
    for (const host of ['--', '..', 'x]:-.', '__proto__', 'a.example:99999']) {
      expect(readOne({ ...good, source: { addr: 'vm:5000' }, request: { ...good.request, host } })).toMatchObject({
        action: 'push',
        host: 'vm:5000',
        unreadableFields: ['request.host'],
      })
    }
  })

  test('says which process reported it, if that can be read', () => {
    const instanceOf = (instanceID: unknown): unknown =>
      (readOne({ ...good, source: { addr: 'vm:5000', instanceID } }) as ReportedEvent).instance
    expect(instanceOf('88bd8d68-f8c2-446d-bca0-218a0c6dc672')).toBe('88bd8d68-f8c2-446d-bca0-218a0c6dc672')
    expect(instanceOf('registry ä 1')).toBe('registry ä 1')
    for (const odd of [undefined, null, '', 7, ['x'], {}, 'a\0b', 'a\nb', '\ud800', 'a\ufffd', 'x'.repeat(129)]) {
      expect(instanceOf(odd)).toBeUndefined()
    }
  })
})

describe('the id of an event', () => {
  const idOf = (event: unknown): string => readOne(event).id

  test('a UUID is the id, whatever else the body says', () => {
    expect(idOf(good)).toBe(idOf({ ...good, action: 'delete' }))
  })

  test('an id written by hand counts with what happened, so that an example can be sent again with another action', () => {
    const byHand = { ...good, id: 'asdf-asdf-asdf-asdf-0' }
    expect(idOf(byHand)).toBe(idOf(byHand))
    expect(idOf(byHand)).not.toBe(idOf({ ...byHand, action: 'delete' }))
  })

  test('without an id, the same event has the same', () => {
    const nameless = { ...good, id: undefined }
    expect(idOf(nameless)).toBe(idOf(nameless))
    expect(idOf(nameless)).not.toBe(idOf({ ...nameless, timestamp: '2026-11-21T10:49:35Z' }))
  })
})

describe('an event that cannot be read says why, and its neighbours are read', () => {
  test.each<[string, unknown, string]>([
    ['no object', 'text', 'not_an_object'],
    ['null', null, 'not_an_object'],
    ['a list', [], 'not_an_object'],
    ['no target', { ...good, target: undefined }, 'no_target'],
    ['a target that is text', { ...good, target: 'x' }, 'wrong_type'],
    ['a tag that is a number', withTarget({ tag: 1 }), 'wrong_type'],
    ['a NUL in the digest', withTarget({ digest: 'sha256:\u0000' }), 'nul_character'],
    ['the mark of broken UTF-8 in the tag', withTarget({ tag: '1\ufffd' }), 'broken_utf8'],
    ['half a surrogate in the repository', withTarget({ repository: 'a\ud800' }), 'broken_utf8'],
    ['a tag of 129 characters', withTarget({ tag: 'a'.repeat(129) }), 'too_long'],
    ['a repository of 1 MB', withTarget({ repository: 'a'.repeat(1_000_000) }), 'too_long'],
    ['no repository', withTarget({ repository: undefined }), 'bad_repository'],
    ['a repository in capitals', withTarget({ repository: 'Team/App' }), 'bad_repository'],
    ['a repository that climbs', withTarget({ repository: '../../etc' }), 'bad_repository'],
    ['a tag with a slash', withTarget({ tag: 'a/b' }), 'bad_tag'],
    ['a digest without an algorithm', withTarget({ digest: 'abc' }), 'bad_digest'],
    ['no timestamp', { ...good, timestamp: undefined }, 'bad_timestamp'],
    ['a timestamp in words', { ...good, timestamp: 'yesterday' }, 'bad_timestamp'],
    ['a timestamp before 1970', { ...good, timestamp: '0001-01-01T00:00:00Z' }, 'bad_timestamp'],
    ['a timestamp a year ahead', { ...good, timestamp: '2027-11-21T00:00:00Z' }, 'timestamp_in_future'],
    ['an unknown action', { ...good, action: 'sing' }, 'unknown_action'],
    ['no action', { ...good, action: undefined }, 'unknown_action'],
  ])('%s', (_, broken, reason) => {
    const [before, culprit, after] = read(good, broken, { ...good, id: undefined })
    expect(culprit).toMatchObject({ unreadable: reason })
    expect([before, after]).toEqual([
      expect.objectContaining({ action: 'push' }),
      expect.objectContaining({ action: 'push' }),
    ])
  })

  test('broken UTF-8 in the body harms only the event whose object it names', () => {
    const intact = JSON.stringify({ ...good, id: 'a' })
    const body = Buffer.concat([
      Buffer.from(`{"events":[${intact},`),
      Buffer.from(intact.replace('"1.0"', '"al"')),
      Buffer.from(']}'),
    ])
    body[body.lastIndexOf('"al"') + 2] = 0xff
    const [first, second] = readEnvelope(body, NOW)
    expect(first).toMatchObject({ action: 'push' })
    expect(second).toMatchObject({ unreadable: 'broken_utf8' })
  })

  test.each<[string, unknown, object | undefined]>([
    ['of a push', { ...good, timestamp: '' }, { isPull: false, host: 'registry.example:5000' }],
    ['of a pull', { ...good, timestamp: '', action: 'pull' }, { isPull: true, host: 'registry.example:5000' }],
    [
      'of a process',
      { ...good, timestamp: '', request: 5, source: { instanceID: 'b' } },
      { isPull: false, instance: 'b' },
    ],
    ['without a valid sender', { ...good, action: 5, request: { host: '?' }, source: 5 }, { isPull: false }],
    ['without a valid repository', withTarget({ repository: 'Team' }), undefined],
    ['without a target', { ...good, target: [] }, undefined],
    ['that is no object', 'good', undefined],
  ])('%s that cannot be read shows its repository and its sender', (_what, event, about) => {
    const one = readOne(event) as UnreadableEvent
    expect(one.about).toEqual(about && { repository: 'team/app', ...about })
  })

  test('what is kept of it holds no address, no token and no user agent', () => {
    const { excerpt } = readOne({ ...good, action: 'sing' }) as UnreadableEvent
    expect(excerpt).toContain('team/app')
    for (const secret of ['203.0.113.9', 'a.b.c', 'alice']) expect(excerpt).not.toContain(secret)
  })

  const SECRETS = ['203.0.113.9', '2001:db8::9', 'hunter2', 'alice', 'glpat-9xAbC', 'Bearer a.b.c', 'é\u0000x']
  const NAMES: Record<string, (text: string) => boolean> = { repository: isRepositoryPath, tag: isTag }
  const PLACES = [
    'id',
    'timestamp',
    'action',
    'target',
    'target.mediaType',
    'target.repository',
    'target.tag',
    'target.digest',
    'target.size',
    'actor',
    'request',
    'source',
    'x',
  ]
  const wrapped = (secret: string): unknown[] => [
    secret,
    ` ${secret}`,
    [secret],
    { [secret]: secret },
    `2026-11-21T${secret}`,
    `${secret} `.repeat(100),
  ]

  test.each(PLACES)('what is kept of it holds nothing that came in a bad field: %s', (place) => {
    const [first = '', second] = place.split('.')
    for (const secret of SECRETS)
      for (const value of wrapped(secret)) {
        const item: Record<string, unknown> = { ...good, action: 'sing' }
        item[first] = second === undefined ? value : { ...good.target, [second]: value }
        const { excerpt, detail } = readOne(item) as UnreadableEvent
        // A name that is valid is what every event has in clear.
        const isName = NAMES[second ?? '']
        if (typeof value !== 'string' || isName?.(value) !== true) expect(`${excerpt}${detail}`).not.toContain(secret)
        expect(excerpt.length).toBeLessThan(1_000)
      }
  })

  test('what is kept of it shows how a field was written', () => {
    const item = { ...good, id: 17, timestamp: '21.11.2026 10:49 MÉZ', action: 'Push', target: 'x/y:1' }
    expect(JSON.parse((readOne(item) as UnreadableEvent).excerpt)).toEqual({
      id: 'number',
      timestamp: '99.99.9999 99:99 aaa',
      action: 'aaaa',
      target: 'string',
    })
  })

  test('what is kept of it is ASCII, and shows how long a text was', () => {
    const { excerpt } = readOne({ ...good, timestamp: `·\ud83d\ude00${'é'.repeat(200)}` }) as UnreadableEvent
    expect(JSON.parse(excerpt)).toMatchObject({ timestamp: `??${'a'.repeat(97)}... (203 characters)` })
    expect(excerpt).toMatch(/^[\x20-\x7e]*$/)
  })

  test('an event nested deeper than the stack is only unreadable', () => {
    const deep = `{"events":[{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}},${JSON.stringify(good)}]}`
    const [first, second] = readEnvelope(Buffer.from(deep), NOW)
    expect(first).toMatchObject({ unreadable: 'no_target' })
    expect(second).toMatchObject({ action: 'push' })
  })

  test('any JSON at all is read or refused with a known reason; nothing is thrown', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.jsonValue(), fc.record({ ...shape(good) }, { requiredKeys: [] }))), (events) => {
        const found = read(...events)
        expect(found).toHaveLength(events.length)
        for (const event of found) {
          expect(event.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
          if ('unreadable' in event) expect(reasonsWith('set_aside')).toContain(event.unreadable)
        }
      }),
      runs(1_000),
    )
  })
})

/** The fields of the good event, each right or any JSON. */
const shape = (fields: object): Record<string, fc.Arbitrary<unknown>> =>
  Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, fc.oneof(fc.constant(value as unknown), fc.jsonValue())]),
  )

describe('an envelope of more items than a registry can mean', () => {
  const REST = 'too_many_events'
  const reasonOf = (event: ReportedEvent | UnreadableEvent | undefined): unknown =>
    event && 'unreadable' in event && event.unreadable

  test('is read as far as 10,000; the rest is one unreadable event', () => {
    const found = read(...Array.from({ length: 50_000 }, () => 1))
    expect(found).toHaveLength(10_001)
    expect(found.slice(0, -1).every((event) => reasonOf(event) === 'not_an_object')).toBe(true)
    expect(found.at(-1)).toMatchObject({
      unreadable: REST,
      detail: 'the envelope has 50000 events; those after the first 10000 are not read',
    })
  })

  test('has that rest once, however often it comes, and another envelope has another', () => {
    const restOf = (item: unknown): string | undefined => read(...Array.from({ length: 10_001 }, () => item)).at(-1)?.id
    expect(restOf(1)).toBe(restOf(1))
    expect(restOf(1)).not.toBe(restOf(2))
  })

  test('10,000 are not too many', () => {
    expect(read(...Array.from({ length: 10_000 }, () => 1)).map(reasonOf)).not.toContain(REST)
  })

  test('the shortest events there can be are all read, however many a large body holds', () => {
    const shortest = { timestamp: '2026-11-21T10:49:34Z', action: 'push', target: { repository: 'a' } }
    const found = read(...Array.from({ length: 50_000 }, () => shortest))
    expect(found).toHaveLength(50_000)
    expect(found.some((event) => 'unreadable' in event)).toBe(false)
  })
})

describe('broken items beyond the first 10,000', () => {
  test('do not take the events between and behind them along', () => {
    const found = read(good, ...Array.from({ length: 12_000 }, () => 1), good, 1, good)
    expect(found.filter((event) => 'action' in event)).toHaveLength(3)
    expect(found).toHaveLength(10_004)
    expect(found.at(-1)).toMatchObject({
      unreadable: 'too_many_events',
      detail: 'the envelope has 12004 events; 2001 of those after the first 10001 are not read',
    })
  })
})

const MEBIBYTE = 1024 * 1024

/** `{"events":[…]}` of so many bytes, filled with texts that are made of their numbers. */
const filled = (bytes: number, item: (i: number) => string, [head, tail]: [string, string] = ['', '']): Buffer => {
  const parts: string[] = []
  for (let size = 0; size < bytes;) {
    const part = item(parts.length)
    parts.push(part)
    size += part.length + 1
  }
  return Buffer.from(`{"events":[${head}${parts.join(',')}${tail}]}`)
}
/** An event of which one field of the target is filled: what is before its value, and what is behind. */
const inTarget = (field: string, open: string, close: string): [string, string] => {
  const [head, tail] = JSON.stringify(withTarget({ [field]: '@' })).split('"@"')
  return [`${head}${open}`, `${close}${tail}`]
}

describe('a large body that has more values than contents is refused before it is parsed:', () => {
  const deep = (open: string, close: string, bytes: number): Buffer => {
    const times = Math.floor(bytes / (open.length + close.length))
    return Buffer.from(`{"events":[${open.repeat(times)}1${close.repeat(times)}]}`)
  }
  const shapes: [string, (bytes: number) => Buffer][] = [
    ['empty objects', (bytes) => filled(bytes, () => '{}')],
    ['empty lists', (bytes) => filled(bytes, () => '[]')],
    ['numbers', (bytes) => filled(bytes, () => '0')],
    ['empty texts', (bytes) => filled(bytes, () => '""')],
    ['objects of one key each', (bytes) => filled(bytes, (i) => `{"${i.toString(36)}":1}`)],
    ['spaced objects', (bytes) => filled(bytes, () => '{ "a" :\n 1 }')],
    ['one object of many keys', (bytes) => filled(bytes, (i) => `"${i.toString(36)}":1`, ['{', '}'])],
    ['lists in lists', (bytes) => deep('[', ']', bytes)],
    ['objects in objects', (bytes) => deep('{"a":', '}', bytes)],
    ['references without contents', (bytes) => filled(bytes, () => '{}', inTarget('references', '[', ']'))],
    ['annotations', (bytes) => filled(bytes, (i) => `"${i.toString(36)}":""`, inTarget('annotations', '{', '}'))],
    ['what is no JSON in the end', (bytes) => Buffer.concat([filled(bytes, () => '{}'), Buffer.from('{')])],
  ]

  test.each(shapes)('%s', (_, bodyOf) => {
    const body = bodyOf(8 * MEBIBYTE)
    expect(() => readEnvelope(body, NOW)).toThrow(TooManyValues)
  })

  test('what stands in a text is no value', () => {
    const body = filled(2 * MEBIBYTE, () => JSON.stringify({ ...good, id: '{},[],\\"'.repeat(100_000) }))
    expect(readEnvelope(body, NOW).every((event) => 'action' in event)).toBe(true)
  })
})

describe('a large body that a registry may send is read:', () => {
  const digestOf = (i: number): string => `sha256:${i.toString(16).padStart(64, '0')}`
  const largestManifest = Array.from({ length: 40_000 }, (_, i) => ({ mediaType: 'a', size: i, digest: digestOf(i) }))

  test.each([undefined, 3])('the largest manifest with its references, indented by %s', (indent) => {
    const body = Buffer.from(JSON.stringify({ events: [withTarget({ references: largestManifest })] }, null, indent))
    expect(body.length).toBeLessThan(16 * MEBIBYTE)
    expect(readEnvelope(body, NOW)).toMatchObject([{ action: 'push' }])
  })

  test('a manifest of 4 MiB with nothing but short annotations', () => {
    const annotations = Object.fromEntries(Array.from({ length: 425_000 }, (_, i) => [i.toString(36), '']))
    const body = Buffer.from(JSON.stringify({ events: [withTarget({ annotations })] }))
    expect(body.length).toBeGreaterThan(4 * MEBIBYTE)
    expect(readEnvelope(body, NOW)).toMatchObject([{ action: 'push' }])
  })

  test.each([undefined, 3])('20,000 events, indented by %s', (indent) => {
    const url = `https://registry.example/v2/team/app/manifests/${DIGEST}`
    const useragent = 'docker/27.0.1 go/go1.22.5 git-commit/abc kernel/6.1 os/linux arch/amd64'
    const target = { ...good.target, mediaType: 'application/vnd.oci.image.manifest.v1+json', length: 582, url }
    const request = { ...good.request, useragent }
    const source = { ...good.source, instanceID: '88bd8d68-f8c2-446d-bca0-218a0c6dc671' }
    const events = Array.from({ length: 20_000 }, () => ({ ...good, target, request, source }))
    const found = readEnvelope(Buffer.from(JSON.stringify({ events }, null, indent)), NOW)
    expect(found).toHaveLength(20_000)
    expect(found.every((event) => 'action' in event)).toBe(true)
  })
})

describe('a body that is no envelope', () => {
  test.each(['', 'not json', '[]', '{}', '{"events":{}}', '{"events":null}', 'null', '"events"'])('%s', (body) => {
    expect(() => readEnvelope(Buffer.from(body), NOW)).toThrow(NotADelivery)
  })

  test('an empty envelope is one', () => {
    expect(readEnvelope(Buffer.from('{"events":[]}'), NOW)).toEqual([])
  })
})
