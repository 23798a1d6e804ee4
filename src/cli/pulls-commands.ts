import { Option, type Command } from 'commander'
import { PARAMETERS } from '../pulls/query/parameters.js'
import { DIMENSIONS } from '../pulls/model/dimensions.js'
import { lastUsed } from '../inventory/questions/last-used.js'
import { examples, json, wide } from './terminal/command-help.js'
import { addQuestion } from './inventory-commands.js'
import type { PullsOptions } from './pulls.js'
import { filterHelp, flagOf, measureHelp } from './pulls-help.js'

const option = (name: string): string => `${flagOf(name)} <${PLACEHOLDERS[name] ?? name}>`

/** Shorter than the name of the option, so that its line is not wrapped. */
const PLACEHOLDERS: Record<string, string> = { measures: 'names', group_by: 'names', since: 'day', until: 'day' }

/** Commander accepts options of `pulls` after a subcommand. An option that `forget` lacks would be ignored, but seem to restrict it. */
const refuseOthers = (pulls: Command, its: Command): void => {
  const known = new Set(its.options.map(({ long }) => long))
  const other = pulls.options.find(
    (one) => pulls.getOptionValueSource(one.attributeName()) === 'cli' && !known.has(one.long),
  )
  if (other) its.error(`error: unknown option '${other.long ?? other.flags}' of ${its.name()}`)
}

/** Adds one option for each filter. The help lists them together, because all take values in the same form. */
const addFilters = (command: Command, note?: string): void => {
  for (const [name, { help }] of Object.entries(DIMENSIONS))
    command.addOption(new Option(option(name), `only ${help}`).hideHelp())
  command.addHelpText('after', filterHelp(note))
}

/** Adds `pulls` and `clients`. */
export const addPullsCommands = (program: Command): void => {
  const pulls = program
    .command('pulls')
    .description('show who pulls what, with what, and how often')
    .hook('preSubcommand', refuseOthers)
  for (const [name, help] of Object.entries(PARAMETERS)) pulls.option(option(name), help)
  addFilters(pulls, 'their names without -- are for --group-by')
  pulls
    .addHelpText('after', measureHelp())
    .addHelpText(
      'after',
      examples(
        'tallyman pulls --group-by day --period last-7-days --tz Europe/Berlin',
        "tallyman pulls --group-by client,platform --repository 'team/*' --kind runtime",
        'tallyman pulls --period "every tuesday of 2026" --compare previous --csv',
      ),
    )
  pulls
    .addOption(json().conflicts(['csv', 'ndjson']))
    .addOption(new Option('--csv', 'print CSV (RFC 4180)').conflicts('ndjson'))
    .option('--ndjson', 'print a JSON object per line')
    .addOption(wide())
    .action(async (options: PullsOptions) => (await import('./pulls.js')).pulls(options))

  const pullers = pulls
    .command('pullers')
    .summary('who pulls most, and the totals without them')
    .description(
      'show how pulls are distributed over pullers: the pullers with most pulls, and the totals without them',
    )
    .option('--top <number>', 'how many pullers to name (default: 10)')
    .addOption(json())
    .addOption(wide())
    .action(async (_options: PullsOptions, command: Command) =>
      (await import('./pullers.js')).pullers(command.optsWithGlobals()),
    )
  for (const name of ['period', 'since', 'until', 'tz'] as const) pullers.option(option(name), PARAMETERS[name])
  addFilters(pullers)
  pullers.addHelpText(
    'after',
    examples(
      'tallyman pulls pullers --period last-28-days',
      'tallyman pulls pullers --repository team/app --top 2 --json',
    ),
  )

  pulls
    .command('behaviour')
    .summary('which origins poll regularly, and what that makes likely')
    .description('show which origins poll regularly, and what that makes likely: deployment, local development, CI')
    .option('--repository <repository>', 'only this repository')
    .option('--days <days>', 'how far to look back (default: 7)')
    .option('--limit <rows>', 'maximum rows, most active origins first (default: 100)')
    .addOption(json())
    .addOption(wide())
    .addHelpText(
      'after',
      examples('tallyman pulls behaviour --repository team/app', 'tallyman pulls behaviour --days 28 --json'),
    )
    .action(async (_options: PullsOptions, command: Command) =>
      (await import('./pullers.js')).behaviours(command.optsWithGlobals()),
    )

  addQuestion(pulls, lastUsed).summary('tags by their last use, for tools that clean up')

  pulls
    .command('docs', { hidden: true })
    .description('print measures and dimensions as Markdown, for docs/definitions-of-numbers.md')
    .action(async () => {
      const { pullsDocs } = await import('./pulls-docs.js')
      pullsDocs()
    })

  pulls
    .command('forget')
    .summary('erase an origin or a repository')
    .description('erase the data of an origin or a repository; past days keep their numbers without names')
    .option('--origin <origin>', 'as tallyman pulls pullers shows it')
    .option('--repository <repository>', 'a repository, with its days')
    .option('--registry <registry>', 'only of this registry')
    .addOption(json())
    .addHelpText(
      'after',
      examples('tallyman pulls forget --origin kJ3v0m7cWqY1sT5uXbZ9aA', 'tallyman pulls forget --repository team/app'),
    )
    .action(async (_options: PullsOptions, command: Command) =>
      (await import('./pulls-forget.js')).forgetPulls(command.optsWithGlobals()),
    )

  program
    .command('clients')
    .description('show the clients of user agents')
    .command('test <user-agents...>')
    .description('show the client of a user agent, by the rules of definitions/clients.yml and your clients_file')
    .addOption(json())
    .addOption(wide())
    .addHelpText(
      'after',
      examples(
        'tallyman clients test "containerd/v1.7.21-k3s2"',
        'tallyman clients test --json "skopeo/1.13.3" "curl/8.0"',
      ),
    )
    .action(async (agents: string[], options: { json?: boolean; wide?: boolean }) => {
      ;(await import('./clients.js')).testClients(agents, options)
    })
}
