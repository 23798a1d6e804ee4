import type { Command } from 'commander'
import { examples, json, wide } from './terminal/command-help.js'
import type { RequestsOptions } from './requests.js'

/** Adds `requests`. */
export const addRequestsCommand = (program: Command): void => {
  program
    .command('requests')
    .description('show single requests of registries and of imported access logs, the newest first')
    .option('--registry <registry>', 'only of this registry')
    .option('--repository <repository>', 'only this repository; team/* is a prefix')
    .option('--tag <tag>', 'only this tag')
    .option('--digest <digest>', 'only this manifest, image id or layer; at least 12 digits')
    .option('--origin <origin>', 'only this origin, as tallyman pulls pullers shows it')
    .option('--since <day>', 'first day in UTC (default: 28 days ago)')
    .option('--until <day>', 'last day in UTC (default: today)')
    .option('--group-by <names>', 'count requests by day, repository, or both')
    .option('--limit <rows>', 'rows (default: 100, at most 10000)')
    .option('--after <position>', 'continue after a page')
    .addOption(json())
    .addOption(wide())
    .addHelpText(
      'after',
      examples(
        'tallyman requests --digest sha256:5c3b4d5e6f70 --since 2026-11-01',
        'tallyman requests --repository team/app --group-by day --since 2026-01-01',
      ),
    )
    .action(async (options: RequestsOptions) => (await import('./requests.js')).requests(options))
}
