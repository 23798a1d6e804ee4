import type { Command } from 'commander'
import type { CommandContext } from './command-context.js'
import type { ImportOptions } from './import-logs.js'
import { examples, json, wide } from './terminal/command-help.js'

/** Adds `import`. */
export const addImportCommand = (program: Command, on: Pick<CommandContext, 'exitCode'>): void => {
  program
    .command('import')
    .description('import access logs of a registry, of a proxy in front of it, or of its bucket')
    .argument(
      '<path...>',
      'files, folders, patterns like "logs/*.gz", and - for standard input, also compressed with gzip or zstd; a file that was imported before goes on where it ended',
    )
    .requiredOption('--registry <name>', 'the registry to which the requests were sent')
    .option('--format <name>', 'the format of the files (default: recognized by their first lines)')
    .option('--wrapper <name>', 'what wraps each line: docker, cri, syslog or none (default: recognized)')
    .option('--tz <zone>', 'the time zone of times without one, for example Europe/Berlin')
    .addOption(json())
    .addOption(wide())
    .addHelpText(
      'after',
      examples(
        'tallyman import --registry registry.example.com /var/log/nginx/access.log',
        'tallyman import --registry registry.example.com --tz Europe/Berlin proxy.log.1.gz proxy.log',
      ),
    )
    .action(async (paths: string[], options: ImportOptions) => {
      on.exitCode = await (await import('./import-logs.js')).importLogs(paths, options)
    })
}
