import { Command, CommanderError, Option } from 'commander'
import { version } from '../home.js'
import { fileProblem } from '../runtime/file-error.js'
import { runInContext, type CommandContext } from './command-context.js'
import { examples, json, wide } from './terminal/command-help.js'
import { addInventoryCommands } from './inventory-commands.js'
import { writeError, writeHelp } from './terminal/output.js'
import { addExportCommand } from './export-command.js'
import { addImportCommand } from './import-command.js'
import { addPullsCommands } from './pulls-commands.js'
import { addRegistriesCommands } from './registries-commands.js'
import { addRequestsCommand } from './requests-commands.js'

/** The exit status of a process that SIGPIPE ends. Node.js ignores SIGPIPE. */
const READER_GONE = 141

const endWithReader = (error: NodeJS.ErrnoException): void => {
  if (error.code === 'EPIPE') process.exit(READER_GONE)
  writeError(`tallyman: standard output cannot be written: ${fileProblem(error) ?? error.code ?? error.message}`)
  process.exit(1)
}

/** This also makes pipes non-blocking, because it opens the streams: the log writes to the same descriptors. */
const ignoreErrors = (...streams: NodeJS.WritableStream[]): void => {
  for (const stream of streams) stream.on('error', () => undefined)
}

/**
 * Runs one command. Errors are written to the context's standard error, and set its exit code.
 * @param args the arguments after `tallyman`
 */
export const runCommand = async (args: readonly string[], on: CommandContext): Promise<void> =>
  runInContext(on, async () => {
    try {
      await createProgram(on).parseAsync(args, { from: 'user' })
    } catch (error) {
      if (error instanceof CommanderError) {
        // Commander has already written the help or the error.
        const advice = await adviceOn(error)
        if (advice !== undefined) writeError(advice)
        on.exitCode = error.exitCode
        return
      }
      const { explain } = await import('./terminal/failure.js')
      writeError(explain(error))
      on.exitCode = 1
    }
  })

const createProgram = (on: CommandContext): Command => {
  const { env, stdout, stderr } = on
  const program = new Command('tallyman')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        // Commander writes help before any hook runs.
        stdout.on('error', endWithReader)
        writeHelp(text, 'stdout')
      },
      writeErr: (text) => {
        writeHelp(text, 'stderr')
      },
    })
    .description('Counts how a container registry is used: who pushes, pulls and deletes, in unique users and totals.')
    .version(version)
    .option('-c, --config <file>', 'configuration file (default: $TALLYMAN_CONFIG, else tallyman.yml)')
    .hook('preAction', async (command, subcommand) => {
      const { config } = command.opts<{ config?: string }>()
      if (config !== undefined) env.TALLYMAN_CONFIG = config
      // A service continues without a reader and with a full disk. Another command ends when the reader is gone, for example after head.
      if (subcommand.name() === 'serve') ignoreErrors(stdout, stderr)
      else stdout.on('error', endWithReader)
      const { unknownVariables } = await import('../config/unknown-variables.js')
      for (const warning of unknownVariables(env)) writeError(`tallyman: warning: ${warning}`)
    })
    .addHelpText(
      'after',
      examples(
        'tallyman serve',
        'tallyman status',
        'tallyman counters list',
        'tallyman inventory images',
        'tallyman pulls --period today',
        'tallyman ping --print',
      ),
    )

  program
    .command('serve')
    .description('receive notifications and answer the API until stopped')
    .option('-l, --listen <address>', 'host:port to listen on (default: 127.0.0.1:3000)')
    .addHelpText(
      'after',
      examples(
        'tallyman serve',
        'tallyman serve --listen 0.0.0.0:3000',
        'DATABASE_URL=postgres://… REDIS_URL=redis://… tallyman serve',
      ),
    )
    .action(async ({ listen }: { listen?: string }) => {
      if (listen !== undefined) env.TALLYMAN_LISTEN = listen
      await (await import('./serve.js')).serve()
    })

  program
    .command('status')
    .description('show the stores, the last notification of each registry, refused requests, skips and the next ping')
    .addOption(json())
    .addOption(wide())
    .addHelpText('after', examples('tallyman status', 'tallyman status --json'))
    .action(async (options: { json?: boolean; wide?: boolean }) => (await import('./status.js')).status(options))

  program
    .command('ping')
    .description('build a Service Ping now')
    .addOption(new Option('--print', 'print the payload without storing or sending it (the default)').conflicts('send'))
    .option('--send', 'store the ping and send it to TALLYMAN_PING_URL')
    .addHelpText('after', examples('tallyman ping', 'tallyman ping --send'))
    .action(async (options: { send?: boolean }) => (await import('./ping.js')).ping(options))

  const counters = program
    .command('counters')
    .description('read, export and import the counters of unique users')
    .addHelpText('after', examples('tallyman counters list', 'tallyman counters export counters.ndjson'))

  counters
    .command('unique')
    .description('count the unique users of one or more events over whole weeks or months')
    .requiredOption('-e, --events <names>', 'events, separated by commas; a user of several of them counts once')
    .requiredOption('--start <day>', 'first day, for example 2026-10-26')
    .requiredOption('--end <day>', 'last day; the week it falls into does not count, because it may not be over')
    .option('--monthly', 'count the whole calendar months between the days instead of ISO weeks')
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'tallyman counters unique --events i_container_registry_push_tag_actor --start 2026-10-26 --end 2026-11-23',
        'tallyman counters unique --events i_container_registry_push_tag_actor,i_container_registry_delete_tag_actor --start 2026-10-01 --end 2026-10-31 --monthly',
      ),
    )
    .action(async (options: { events: string; start: string; end: string; monthly?: boolean; json?: boolean }) =>
      (await import('./counters.js')).unique(options),
    )

  counters
    .command('list')
    .description('list every counter with its count, including the current week and month')
    .addOption(json())
    .addOption(wide())
    .addHelpText('after', examples('tallyman counters list', 'tallyman counters list --json'))
    .action(async (options: { json?: boolean; wide?: boolean }) => (await import('./counters.js')).list(options))

  counters
    .command('export')
    .description('write all counters into a file, to move them to other stores')
    .argument('<file>', 'the file to write; - for standard output')
    .addHelpText('after', examples('tallyman counters export counters.ndjson'))
    .action(async (file: string) => (await import('./counters.js')).exportTo(file))

  counters
    .command('import')
    .description('import exported counters; importing the same file twice changes nothing')
    .argument('<file>', 'the file to read; - for standard input')
    .option('--other-users', 'accept an export that was counted with another users key')
    .addHelpText('after', examples('REDIS_URL=redis://localhost:6379 tallyman counters import counters.ndjson'))
    .action(async (file: string, options: { otherUsers?: boolean }) =>
      (await import('./counters.js')).importFrom(file, options),
    )

  addImportCommand(program, on)
  addExportCommand(program)

  const metrics = program
    .command('metrics')
    .description('check and describe the metric definitions')
    .addHelpText('after', examples('tallyman metrics check', 'tallyman metrics docs > docs/metrics.md'))

  metrics
    .command('check')
    .description('check all rules and metric definitions')
    .addHelpText(
      'after',
      examples('tallyman metrics check', 'TALLYMAN_METRICS_DIR=./my-metrics tallyman metrics check'),
    )
    .action(async () => {
      const { check } = await import('./metrics.js')
      check()
    })

  metrics
    .command('docs')
    .description('print the dictionary of all metrics and events as Markdown')
    .addHelpText('after', examples('tallyman metrics docs > docs/metrics.md'))
    .action(async () => {
      const { docs } = await import('./metrics.js')
      docs()
    })

  addInventoryCommands(program)
  addPullsCommands(program)
  addRequestsCommand(program)
  addRegistriesCommands(program)

  program
    .command('reasons', { hidden: true })
    .command('docs')
    .action(async () => {
      const { reasonsDocs } = await import('./reasons-docs.js')
      reasonsDocs()
    })

  program
    .command('dump')
    .description('write a dump of the embedded database now; serve writes one every day')
    .addHelpText('after', examples('tallyman dump'))
    .action(async () => (await import('./dump.js')).dumpNow())

  program
    .command('migrate')
    .description('update the schema of the SQL database; serve also does this')
    .addHelpText('after', examples('DATABASE_URL=postgres://… tallyman migrate'))
    .action(async () => (await import('./migrate.js')).migrateNow())

  pointToHelp(program, 'tallyman')
  return program
}

/** Makes the errors of each command end with a hint to its own help. */
const pointToHelp = (command: Command, path: string): void => {
  command.showHelpAfterError(`(see ${path} --help)`)
  // A command may parse the options of its subcommand, and then reports their errors.
  command.hook('preSubcommand', (_, below) => {
    command.showHelpAfterError(`(see ${path} ${below.name()} --help)`)
  })
  for (const below of command.commands) pointToHelp(below, `${path} ${below.name()}`)
}

/** Advice on an unknown option that is a setting, which comes from the environment or the configuration. */
const adviceOn = async ({ code, message }: CommanderError): Promise<string | undefined> => {
  const [, option] = /'--([\w-]+)/.exec(message) ?? []
  if (code !== 'commander.unknownOption' || option === undefined) return undefined
  const { environmentName, SETTINGS } = await import('../config/settings.js')
  const key = option.replaceAll('-', '_')
  return SETTINGS.some((setting) => setting === key)
    ? `${key} is a setting: set ${environmentName(key)}, or ${key} in tallyman.yml`
    : undefined
}
