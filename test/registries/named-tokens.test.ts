import { describe, expect, test } from '@jest/globals'
import { createFindToken } from '../../src/http/auth.js'
import { NotificationTokensError, readNotificationTokens } from '../../src/tokens/notification-tokens.js'

describe('notification tokens', () => {
  test.each<[string, unknown, unknown]>([
    ['separated by commas', ' tmA, tmB,', [{ token: 'tmA' }, { token: 'tmB' }]],
    ['as a list', ['tmA', 17], [{ token: 'tmA' }, { token: '17' }]],
    ['by the names of their registries', { 'A.example:5000': 'tmA' }, [{ token: 'tmA', registry: 'a.example:5000' }]],
    [
      'several of a name, while they are changed',
      { 'a.example': ['tmA', 'tmB'], b: 'tmC,tmD' },
      [
        { token: 'tmA', registry: 'a.example' },
        { token: 'tmB', registry: 'a.example' },
        { token: 'tmC', registry: 'b' },
        { token: 'tmD', registry: 'b' },
      ],
    ],
    ['as JSON, in the environment', '{"a.example": "tmA"}', [{ token: 'tmA', registry: 'a.example' }]],
    [
      'under * without a name, while registries are given tokens of their own',
      { 'a.example': 'tmA', '*': ['tmOld', 'tmOlder'] },
      [{ token: 'tmA', registry: 'a.example' }, { token: 'tmOld' }, { token: 'tmOlder' }],
    ],
    ['none', '', []],
  ])('can be given %s', (_, given, expected) => {
    expect(readNotificationTokens(given)).toEqual(expected)
  })

  test.each<[string, unknown, RegExp]>([
    ['JSON that is broken', '{"a.example": "tmSecret"', /is not JSON/],
    ['a name that is no host', { 'a b': 'tmSecret' }, /is neither a host, for example/],
    ['a name that only looks like a host', { __proto__x: 'tmSecret' }, /is neither a host, for example/],
    ['a name without a token', { a: '' }, /^a has no token$/],
    ['a name with something else', { a: { b: 'tmSecret' } }, /expected tokens, or a map/],
    ['one token with a name and without', { a: 'tmSecret', '*': 'tmSecret' }, /^a and \* have the same token$/],
    ['one token of two registries', { a: 'tmSecret', b: 'tmSecret' }, /^a and b have the same token$/],
  ])('refuse %s, without telling the token', (_, given, message) => {
    const refuse = (): unknown => readNotificationTokens(given)
    expect(refuse).toThrow(NotificationTokensError)
    expect(refuse).toThrow(message)
    expect(refuse).not.toThrow(/Secret/)
  })

  test('that match say which registry they name', () => {
    const find = createFindToken([{ token: 'tmA', registry: 'a' }, { token: 'tmB', registry: 'b' }, { token: 'tmC' }])
    const answers = ['tmA', 'tmB', 'tmC', 'tmD', undefined].map(find)
    expect(answers).toEqual([
      { token: 0, registry: 'a' },
      { token: 1, registry: 'b' },
      { token: 2 },
      'wrong',
      'missing',
    ])
  })
})
