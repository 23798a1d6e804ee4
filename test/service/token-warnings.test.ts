import { expect, test } from '@jest/globals'
import type { ApiToken } from '../../src/tokens/api-tokens.js'
import { readApiTokens } from '../../src/tokens/api-tokens.js'
import { readNotificationTokens } from '../../src/tokens/notification-tokens.js'
import { tokenWarnings } from '../../src/service/token-warnings.js'

const LONG = `tm${'0'.repeat(40)}`

const warnings = (notification: unknown, api: unknown = LONG, made = LONG): string[] => {
  const [notification_tokens, api_tokens] = [readNotificationTokens(notification), readApiTokens(api)]
  const file: ApiToken = { token: made, scope: 'admin' }
  return tokenWarnings({
    config: { notification_tokens, api_tokens },
    secrets: { notificationTokens: [{ token: made }], apiTokens: [file, ...api_tokens] },
  })
}

/** What an earlier version accepted. Each must start, with a warning that does not contain the token. */
const WEAK: [string, string][] = [
  ['x', 'has fewer than 8 characters and is guessed in little time: replace it now'],
  ['1234567', 'has fewer than 8 characters and is guessed in little time: replace it now'],
  ['x'.repeat(15), 'has fewer than 16 characters and can be guessed'],
  ['"tm0123456789abcdef"', 'begins and ends with a quote, which is a part of the token'],
  [
    'Bearer tm0123456789abcdef',
    'begins with "Bearer ", which is not a part of a token: write only the text after "Bearer "',
  ],
  ...['g\u00fcltig-0123456789', 'tm\u0007-0123456789abc', 'tm\u200b-0123456789abc', 'a\tb-0123456789abcdef'].map(
    (token): [string, string] => [
      token,
      'has a character outside printable ASCII, which no Authorization header carries unchanged: choose another token',
    ],
  ),
]

test.each(WEAK)('the token %j is accepted, and named by its position and without its text', (token, sentence) => {
  expect(warnings([LONG, token])).toEqual([`notification_tokens: token 2 ${sentence}`])
  expect(warnings({ 'r.example.com': token })).toEqual([`notification_tokens: token 1 (r.example.com) ${sentence}`])
  expect(warnings(LONG, [LONG, token])).toEqual([`api_tokens: token 2 with the scope admin ${sentence}`])
  expect(warnings(LONG, { metrics: LONG, read: ['other-token-of-24-chars-', token] })).toEqual([
    `api_tokens: token 2 with the scope read ${sentence}`,
  ])
  expect(warnings([], { metrics: LONG }, token)).toEqual([
    `the token in notification.token ${sentence}`,
    `the token in api.token ${sentence}`,
  ])
})

test('tokens that were made are no matter for a warning', () => {
  expect(warnings([LONG, 'x'.repeat(16), "it's-a-long-token"])).toEqual([])
  expect(warnings([], [])).toEqual([])
})
