import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { ApiToken } from '../../src/tokens/api-tokens.js'
import { createAuthorize } from '../../src/http/auth.js'
import { runs } from '../servers/runs.js'

const GRANTED = { token: 0, scope: 'admin' }
const admins = (tokens: string[]): ApiToken[] => tokens.map((token) => ({ token, scope: 'admin' }))

describe('a token', () => {
  const long = 'x'.repeat(3_000)

  test.each([
    ['as a bearer token', { authorization: 'Bearer secret' }, GRANTED],
    ['bare, as the registry of GitLab sends it', { authorization: 'secret' }, GRANTED],
    ['as the private token of GitLab', { 'private-token': 'secret' }, GRANTED],
    ['the second of two, while tokens are changed', { authorization: 'Bearer next' }, { token: 1, scope: 'admin' }],
    ['longer than usual', { authorization: `Bearer ${long}` }, { token: 2, scope: 'admin' }],
    ['that differs after its usual length', { authorization: `Bearer ${long.slice(0, -1)}y` }, 'wrong'],
    ['with something behind it', { authorization: 'Bearer secrets' }, 'wrong'],
    ['that is only the beginning', { authorization: 'Bearer secre' }, 'wrong'],
    ['with zeros behind it', { authorization: 'Bearer secret\0\0' }, 'wrong'],
    ['that is empty', { authorization: 'Bearer ' }, 'missing'],
    ['that is not there', {}, 'missing'],
  ])('%s', (_, headers, expected) => {
    expect(createAuthorize(admins(['secret', 'next', long]))(headers)).toEqual(expected)
  })

  test('is granted when it is equal, and only then', () => {
    const token = fc.string({ minLength: 1, maxLength: 600, unit: fc.constantFrom('a', 'b', 'é') })
    fc.assert(
      fc.property(token, token, (accepted, given) => {
        const answer = createAuthorize(admins([accepted]))({ authorization: `Bearer ${given}` })
        expect(answer).toEqual(accepted === given ? GRANTED : 'wrong')
        expect(createAuthorize(admins([accepted]))({ authorization: `Bearer ${accepted}` })).toEqual(GRANTED)
      }),
      runs(500),
    )
  })
})
