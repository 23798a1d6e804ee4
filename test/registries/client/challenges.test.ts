import { describe, expect, test } from '@jest/globals'
import { challengesIn } from '../../../src/registries/client/challenges.js'

describe('the challenges of a server', () => {
  test.each([
    [
      'of Docker Hub, quoted, the realm with a query of its own',
      'Bearer realm="https://auth.docker.io/token?x=1,2",service="registry.docker.io",scope="repository:a/b:pull,push"',
      [
        {
          scheme: 'bearer',
          parameters: {
            realm: 'https://auth.docker.io/token?x=1,2',
            service: 'registry.docker.io',
            scope: 'repository:a/b:pull,push',
          },
        },
      ],
    ],
    [
      'several in one header',
      'Negotiate, Basic realm="r", Bearer realm="https://x/t", service=s',
      [
        { scheme: 'negotiate', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'r' } },
        { scheme: 'bearer', parameters: { realm: 'https://x/t', service: 's' } },
      ],
    ],
    [
      'a value alone',
      'NTLM TlRMTVNTUAAB==, Basic realm=r',
      [
        { scheme: 'ntlm', parameters: {} },
        { scheme: 'basic', parameters: { realm: 'r' } },
      ],
    ],
    [
      'without quotes, spaces around the sign, names in capitals',
      'BEARER Realm = https://x/t?a=b , Service=s',
      [{ scheme: 'bearer', parameters: { realm: 'https://x/t?a=b', service: 's' } }],
    ],
    [
      'escapes and empty values',
      String.raw`Basic realm="a \"b\" \\", charset=""`,
      [{ scheme: 'basic', parameters: { realm: 'a "b" \\', charset: '' } }],
    ],
    ['nothing', '', []],
    ['a quote that never ends', 'Basic realm="', [{ scheme: 'basic', parameters: {} }]],
    ['a name of every object', 'Basic __proto__="x"', [{ scheme: 'basic', parameters: { ['__proto__']: 'x' } }]],
  ])('are read: %s', (_, header, expected) => {
    expect(challengesIn(header)).toEqual(expected)
  })

  test('are read to their end, however hostile', () => {
    for (const part of ['Basic a="\\', 'a=', 'Basic ,', ' ', '"', 'a b=" c'])
      expect(challengesIn(part.repeat(16_384 / part.length))).toBeInstanceOf(Array)
  })
})
