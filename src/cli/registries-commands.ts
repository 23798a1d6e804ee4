import type { Command } from 'commander'
import { examples, json, wide } from './terminal/command-help.js'

/** Adds the commands `registries`, which lists registries, and `registries join`. */
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
    .description('make a registry an alias of another, with its hosts and its recorded data; this cannot be undone')
    .argument('<from>', 'the registry that becomes an alias')
    .argument('<into>', 'the registry that keeps its name')
    .option('--dry-run', 'show the effects without any change')
    .addOption(json())
    .addHelpText(
      'after',
      examples(
        'tallyman registries join registry:5000 registry.example.com --dry-run',
        'tallyman registries join registry:5000 registry.example.com',
      ),
    )
    // If the parent command has an option of the same name, the parent has parsed it.
    .action(async (from: string, into: string, _options: object, its: Command) =>
      (await import('./registries.js')).join({
        from,
        into,
        ...its.optsWithGlobals<{ dryRun?: boolean; json?: boolean }>(),
      }),
    )
}
