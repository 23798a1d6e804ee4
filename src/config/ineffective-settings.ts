import type { Config } from './config.js'

/** Warnings about settings that have no effect because of other settings, one sentence each, with their keys. */
export const ineffectiveSettings = (config: Config): string[] => {
  const { user_directory: directory } = config
  const hasAnyUrl = config.readRegistries().some(({ url }) => url !== undefined)
  const ineffective: [boolean, string][] = [
    [config.users_file !== undefined && directory !== 'file', `users_file: the user directory is "${directory}"`],
    [config.gitlab_url !== undefined && directory !== 'gitlab', `gitlab_url: the user directory is "${directory}"`],
    [config.gitlab_token !== undefined && directory !== 'gitlab', `gitlab_token: the user directory is "${directory}"`],
    [config.docker_config !== undefined && !hasAnyUrl, 'docker_config: no registry has a url'],
    [config.reconcile_cron !== undefined && !hasAnyUrl, 'reconcile_cron: no registry has a url'],
    [config.reconcile_apply && config.reconcile_cron === undefined, 'reconcile_apply: reconcile_cron is not set'],
    [config.sql_route && config.database_url !== undefined, 'sql_route: with database_url there is no such route'],
    [config.ping_cron !== undefined && !config.ping_enabled, 'ping_cron: ping_enabled is false'],
  ]
  return ineffective.flatMap(([isIneffective, why]) => (isIneffective ? [why] : []))
}
