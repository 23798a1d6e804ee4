import { expect, test } from '@jest/globals'
import type { ApiToken } from '../../src/tokens/api-tokens.js'
import { readApiTokens } from '../../src/tokens/api-tokens.js'
import { readNotificationTokens } from '../../src/tokens/notification-tokens.js'
import { tokenWarnings } from '../../src/service/token-warnings.js'

const LONG = `tm${'0'.repeat(40)}`
const API = `tm${'1'.repeat(40)}`

const warnings = (notification: unknown, api: unknown = API, made = [LONG, API]): string[] => {
  const [notification_tokens, api_tokens] = [readNotificationTokens(notification), readApiTokens(api)]
  const [forNotifications = '', forApi = ''] = made
  const file: ApiToken = { token: forApi, scope: 'admin' }
  return tokenWarnings({
    config: { notification_tokens, api_tokens },
    secrets: { notificationTokens: [{ token: forNotifications }], apiTokens: [file, ...api_tokens] },
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
  expect(warnings(LONG, [API, token])).toEqual([`api_tokens: token 2 with the scope admin ${sentence}`])
  expect(warnings(LONG, { metrics: API, read: ['other-token-of-24-chars-', token] })).toEqual([
    `api_tokens: token 2 with the scope read ${sentence}`,
  ])
  expect(warnings([], { metrics: API }, [token, API])).toEqual([`the token in notification.token ${sentence}`])
  expect(warnings([], { metrics: API }, [LONG, token])).toEqual([`the token in api.token ${sentence}`])
})

test('tokens that were made are no matter for a warning', () => {
  expect(warnings([LONG, 'x'.repeat(16), "it's-a-long-token"])).toEqual([])
  expect(warnings([], [])).toEqual([])
})

test.each<[unknown, unknown, string, string]>([
  [LONG, [API, LONG], 'notification_tokens: token 1', 'api_tokens: token 2 with the scope admin'],
  [
    ['other-token-of-24-chars-', LONG],
    { metrics: LONG },
    'notification_tokens: token 2',
    'api_tokens: token 1 with the scope metrics',
  ],
  [{ 'r.example.com': API }, [], 'notification_tokens: token 1 (r.example.com)', 'the token in api.token'],
  [[], LONG, 'the token in notification.token', 'api_tokens: token 1 with the scope admin'],
])(
  'one text for notifications and the API is accepted, and named by both positions: %#',
  (notification, api, one, other) => {
    expect(warnings(notification, api)).toEqual([
      `${one} has the same text as ${other}, so everyone who can read the configuration of the registry can use the API: ` +
        'replace one of them now',
    ])
  },
)
