import { expect, test } from '@jest/globals'
import { readConfig } from '../../src/config/config.js'
import { ineffectiveSettings } from '../../src/config/ineffective-settings.js'
import { ROOT } from '../servers/service.js'

const ineffective = (environment: Record<string, string>): string[] =>
  ineffectiveSettings(readConfig({ TALLYMAN_CONFIG: '/dev/null', ...environment }, ROOT)).map(
    (sentence) => sentence.split(':')[0] ?? '',
  )

test('a setting that another keeps from having an effect is named', () => {
  expect(ineffective({})).toEqual([])
  const gitlab = { TALLYMAN_GITLAB_URL: 'https://gitlab.example/api/v4', TALLYMAN_GITLAB_TOKEN: 't' }
  expect(ineffective(gitlab)).toEqual(['gitlab_url', 'gitlab_token'])
  expect(ineffective({ ...gitlab, TALLYMAN_USER_DIRECTORY: 'gitlab' })).toEqual([])
  expect(ineffective({ TALLYMAN_USERS_FILE: '/dev/null' })).toEqual([])
  expect(ineffective({ TALLYMAN_USERS_FILE: '/dev/null', TALLYMAN_USER_DIRECTORY: 'hash' })).toEqual(['users_file'])
  const reconcile = { TALLYMAN_RECONCILE_CRON: '0 2 * * 0', TALLYMAN_DOCKER_CONFIG: '/dev/null' }
  expect(ineffective(reconcile)).toEqual(['docker_config', 'reconcile_cron'])
  const registries = JSON.stringify({ 'registry.example.com': { url: 'https://registry.example.com' } })
  expect(ineffective({ ...reconcile, TALLYMAN_REGISTRIES: registries, TALLYMAN_RECONCILE_APPLY: 'yes' })).toEqual([])
  expect(ineffective({ TALLYMAN_SQL_ROUTE: 'yes' })).toEqual([])
  expect(ineffective({ TALLYMAN_SQL_ROUTE: 'yes', DATABASE_URL: 'postgres://u@h/d' })).toEqual(['sql_route'])
  expect(ineffective({ TALLYMAN_RECONCILE_APPLY: 'yes' })).toEqual(['reconcile_apply'])
  expect(ineffective({ TALLYMAN_PING_ENABLED: 'no', TALLYMAN_PING_CRON: '0 2 * * 0' })).toEqual(['ping_cron'])
})
