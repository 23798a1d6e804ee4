import type { Command } from 'commander'
import { examples, json, wide } from './terminal/command-help.js'

/** Adds `registries`, which lists them, and `registries join`. */
export const addRegistriesCommands = (program: Command): void => {
  const registries = program
    .command('registries')
    .description(
      'list the registries: names, hosts, processes, the last notification of each, and how it is identified',
    )
    .addOption(json())
    .addOption(wide())
    .addHelpText(
      'after',
      examples(
        'tallyman registries',
        'tallyman registries --json',
        'tallyman registries join registry:5000 registry.example.com --dry-run',
      ),
    )
    .action(async (options: { json?: boolean; wide?: boolean }) => (await import('./registries.js')).list(options))

  registries
    .command('join')
    .description('make a registry an alias of another, with its hosts and all that was recorded; it cannot be undone')
    .argument('<from>', 'the registry whose name goes')
    .argument('<into>', 'the registry whose name stays')
    .option('--dry-run', 'show what would happen, and change nothing')
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'tallyman registries join registry:5000 registry.example.com --dry-run',
        'tallyman registries join registry:5000 registry.example.com',
      ),
    )
    // Where the command above it has an option of the same name, that one took what was given.
    .action(async (from: string, into: string, _options: object, its: Command) =>
      (await import('./registries.js')).join({
        from,
        into,
        ...its.optsWithGlobals<{ dryRun?: boolean; json?: boolean }>(),
      }),
    )
}
