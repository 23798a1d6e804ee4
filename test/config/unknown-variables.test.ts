import { describe, expect, test } from '@jest/globals'
import { environmentName, SETTINGS } from '../../src/config/settings.js'
import { unknownVariables } from '../../src/config/unknown-variables.js'
import { tallyman } from '../servers/tallyman.js'

describe('a variable whose name looks like that of a setting', () => {
  test('is known for each setting, also as a file; an empty one is none', () => {
    const names = ['TALLYMAN_CONFIG', ...SETTINGS.map(environmentName).flatMap((name) => [name, `${name}_FILE`])]
    expect(unknownVariables(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual([])
    expect(unknownVariables({ TALLYMAN_LISTN: '', PATH: '/bin', MY_TALLYMAN_LISTN: 'x' })).toEqual([])
  })

  test.each(SETTINGS.map(environmentName))('%s: with a wrong letter the name is found', (name) => {
    const prefixed = name.startsWith('TALLYMAN_') ? name : `TALLYMAN_${name}`
    for (const [mistyped, meant] of [
      [`${prefixed}X`, name],
      [`${prefixed}X_FILE`, `${name}_FILE`],
      [`${prefixed}X`.toLowerCase(), name],
    ] as const) {
      expect(unknownVariables({ [mistyped]: 'secret' })).toEqual([
        `${mistyped} is not a setting and has no effect: did you mean ${meant}?`,
      ])
    }
  })

  test.each([
    ['TALLYMAN_NOTIFICATION_TOKEN', 'did you mean TALLYMAN_NOTIFICATION_TOKENS?'],
    ['TALLYMAN_DATABASE_URL', 'did you mean DATABASE_URL?'],
    ['TALLYMAN_REDIS_URL_FILE', 'did you mean REDIS_URL_FILE?'],
    ['tallyman_data_dir', 'did you mean TALLYMAN_DATA_DIR?'],
    ['TALLYMAN_POETRY_OF_THE_DAY', 'docs/operations.md lists the settings'],
    ['TALLYMAN_', 'docs/operations.md lists the settings'],
    ['TALLYMAN_PORT', 'docs/operations.md lists the settings'],
  ])('%s: %s', (name, remedy) => {
    expect(unknownVariables({ [name]: 'secret' })).toEqual([`${name} is not a setting and has no effect: ${remedy}`])
  })

  test('is none if Kubernetes sets it beside a service called tallyman', () => {
    const links = {
      TALLYMAN_SERVICE_HOST: '10.0.0.1',
      TALLYMAN_SERVICE_PORT: '3000',
      TALLYMAN_SERVICE_PORT_HTTP: '3000',
      TALLYMAN_PORT: 'tcp://10.0.0.1:3000',
      TALLYMAN_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
      TALLYMAN_PORT_3000_TCP_ADDR: '10.0.0.1',
      TALLYMAN_REDIS_PORT_6379_TCP_PROTO: 'tcp',
    }
    expect(unknownVariables(links)).toEqual([])
  })

  test('is named on standard error by every command, which then does its work', async () => {
    const { code, out, err } = await tallyman({ TALLYMAN_METRIC_DIR: '/nowhere' }, 'metrics', 'check')
    expect([code, err]).toEqual([
      0,
      'tallyman: warning: TALLYMAN_METRIC_DIR is not a setting and has no effect: did you mean TALLYMAN_METRICS_DIR?\n',
    ])
    expect(out).not.toBe('')
  })
})
