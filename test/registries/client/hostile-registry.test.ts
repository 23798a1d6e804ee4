import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { RegistryError, UnreadableManifest } from '../../../src/registries/client/exchange.js'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import { ListTooLarge } from '../../../src/registries/client/list-pages.js'
import type { RegistryClient } from '../../../src/registries/client/registry-client.js'
import { fixedClock } from '../../servers/clock.js'
import { digestOf } from '../../servers/manifests.js'
import { startStub, type Stub } from '../../servers/stub.js'

const MIB = 1024 * 1024

type Answer = { status?: number; headers?: Record<string, string>; body: string | Buffer }

describe('a registry that answers more than it should', () => {
  let registry: Stub
  let client: RegistryClient
  let answer: Answer
  beforeAll(async () => {
    registry = await startStub((_, response) => {
      const { status = 200, headers = {}, body } = answer
      response.writeHead(status, headers).end(body)
    })
    client = createRegistryClient(
      { name: 'hostile.example', aliases: [], url: registry.url },
      { userAgent: 'x', now: fixedClock, timeLimitMs: 60_000 },
    )
  })
  afterAll(async () => registry.stop())

  const requests = (): [string, () => Promise<unknown>][] => [
    ['its catalog', async () => client.catalog()],
    ['tags', async () => client.tags('team/app')],
    ['a manifest', async () => client.manifest('team/app', digestOf('x'))],
    ['a tag', async () => client.digestOf('team/app', '1.0')],
  ]

  test.each<[string, () => Answer, string]>([
    ['bytes', () => ({ body: Buffer.alloc(33 * MIB, ' ') }), 'a page of more than 32 MiB'],
    [
      'bytes, once they are unpacked',
      () => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(Buffer.alloc(64 * MIB)) }),
      'a page of more than 32 MiB',
    ],
    ['lists in lists', () => ({ body: '['.repeat(2 * MIB) }), 'more than 500,000 values on one page'],
    ['empty objects', () => ({ body: `{"tags":[${'{},'.repeat(MIB)}{}]}` }), 'more than 500,000 values on one page'],
    ['names', () => ({ body: `{"tags":[${'"a",'.repeat(MIB)}"a"]}` }), 'more than 500,000 values on one page'],
  ])('in a list is not read: %s', async (_, made, bound) => {
    answer = made()
    for (const ask of [async () => client.catalog(), async () => client.tags('team/app')]) {
      const error: unknown = await ask().catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(ListTooLarge)
      expect((error as Error).message).toContain(bound)
    }
  })

  test.each<[string, () => Answer]>([
    ['lists in lists', () => ({ body: '['.repeat(2 * MIB) })],
    ['empty objects', () => ({ body: `{"layers":[${'{},'.repeat(MIB)}{}]}` })],
  ])('in a manifest has no contents: %s', async (_, made) => {
    answer = made()
    const digest = digestOf(answer.body.toString())
    await expect(client.manifest('team/app', digest)).rejects.toThrow(UnreadableManifest)
  })

  test.each<[string, () => Answer]>([
    ['more headers than are read', () => ({ headers: { link: '<'.repeat(20_000) }, body: '{}' })],
    [
      'encodings without an end',
      () => ({ headers: { 'content-encoding': 'gzip,'.repeat(1_000) + 'gzip' }, body: 'x' }),
    ],
    ['an error code that is no text', () => ({ status: 404, body: '{"errors":[{"code":{"toString":1}}]}' })],
    ['lists in the code', () => ({ status: 404, body: `{"errors":[{"code":${'['.repeat(9e4)}${']'.repeat(9e4)}}]}` })],
    ['values without an end in an error', () => ({ status: 404, body: `{"errors":[${'{},'.repeat(MIB)}{}]}` })],
    [
      'a challenge that is none',
      () => ({ status: 401, headers: { 'www-authenticate': '"=,'.repeat(5_000) }, body: '' }),
    ],
    ['a realm that is none', () => ({ status: 401, headers: { 'www-authenticate': 'Bearer realm=" "' }, body: '' })],
  ])('is refused with one error: %s', async (_, made) => {
    for (const [what, ask] of requests()) {
      answer = made()
      const error: unknown = await ask().catch((reason: unknown) => reason)
      expect([what, error]).toEqual([what, expect.any(RegistryError)])
      expect((error as Error).message.length).toBeLessThan(1_000)
    }
  })

  test('and whose link to the next page does not end, has one page', async () => {
    for (const link of [
      '<'.repeat(15_000),
      `<a>${' '.repeat(15_000)}`,
      `<a>;${'rel '.repeat(3_500)}`,
      `<a>;${'rel='.repeat(3_500)}`,
    ]) {
      answer = { headers: { link }, body: '{"repositories":["a"]}' }
      expect(await client.catalog()).toEqual({ names: ['a'] })
    }
  })
})
