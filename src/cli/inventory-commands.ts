import { Option, type Command } from 'commander'
import type { Parameter, Question } from '../inventory/questions/question.js'
import { QUESTIONS } from '../inventory/questions/questions.js'
import { examples, json, wide } from './terminal/command-help.js'
import type { InventoryOptions } from './inventory.js'
import type { ReconcileCommand } from './inventory-reconcile.js'
import type { SqlOptions } from './sql.js'

const SAMPLES: Record<string, string> = { repository: 'team/app', reference: 'latest', tag: 'latest', unused_for: '6m' }

/** An example command of a question. */
export const exampleOf = ({ name, parameters }: Question, below = 'inventory'): string => {
  const required = Object.entries(parameters).filter(([, parameter]) => parameter.required)
  const options = required.map(([key]) => `--${key.replaceAll('_', '-')} ${SAMPLES[key] ?? '90d'}`)
  return ['tallyman', below, name, ...options].join(' ')
}

/** The placeholder of a value in the help. */
const placeholderOf = (name: string, { kind, choices = [] }: Parameter): string => {
  if (kind === 'age') return 'age'
  if (kind === 'choices') return 'list'
  return kind === 'choice' ? choices.join('|') : name
}

const moreExamples = (example: string, { parameters }: Question): string[] => [
  ...('without_kind' in parameters ? [`${example} --without-kind scanner,mirror,updater`] : []),
]

/** Adds the command of a question. */
export const addQuestion = (parent: Command, question: Question): Command => {
  const { name, answers, parameters } = question
  const command = parent.command(name).description(answers)
  for (const [key, parameter] of Object.entries(parameters)) {
    const flags = `--${key.replaceAll('_', '-')} <${placeholderOf(key, parameter)}>`
    if (parameter.required) command.requiredOption(flags, parameter.help)
    else command.option(flags, parameter.help)
  }
  const example = exampleOf(question, parent.name())
  command
    .option('--limit <rows>', 'rows of a page, at most 1000 (default: 100)')
    .option('--cursor <cursor>', 'the cursor that the previous page ended with')
    .addOption(new Option('--all', 'all rows, page after page').conflicts(['limit', 'cursor']))
    .addOption(json().conflicts(['csv', 'ndjson']))
    .addOption(new Option('--csv', 'print CSV (RFC 4180), bytes as numbers').conflicts('ndjson'))
    .option('--ndjson', 'print a JSON object per line')
    .addOption(wide())
    .addHelpText('after', examples(example, `${example} --csv --all > ${name}.csv`, ...moreExamples(example, question)))
    // If a parent command has an option of the same name, the parent received the value.
    .action(async (_options: InventoryOptions, its: Command) =>
      (await import('./inventory.js')).inventory(question, its.optsWithGlobals()),
    )
  return command
}

/** Adds `inventory` with a command for each question, and `sql`. */
export const addInventoryCommands = (program: Command): void => {
  const inventory = program
    .command('inventory')
    .description(
      'query what registries contain: images, sizes, and what is old, unused, orphaned or deleted; or compare it with the registries',
    )
    .addHelpText(
      'after',
      examples(
        'tallyman inventory totals',
        'tallyman inventory largest-repositories --limit 10',
        'tallyman inventory old-images --older-than 90d --csv --all > old.csv',
        'tallyman inventory unused-images --unused-for 6m --repository team/app --json',
        'tallyman inventory tree --repository team/app --reference latest',
        'tallyman inventory deletions --since 28d',
        'tallyman inventory reconcile',
      ),
    )

  for (const question of QUESTIONS) addQuestion(inventory, question)

  inventory
    .command('refresh')
    .description('recompute the summary, which has the sizes, totals and orphaned blobs; serve recomputes it regularly')
    .addHelpText('after', examples('tallyman inventory refresh'))
    .action(async () => (await import('./inventory.js')).refresh())

  inventory
    .command('retry-reads')
    .description('retry manifests that could not be read from their registries, including those that were given up')
    .addHelpText('after', examples('tallyman inventory retry-reads'))
    .action(async () => (await import('./inventory.js')).retryReadsNow())

  inventory
    .command('docs', { hidden: true })
    .description('print all questions as Markdown, for docs/inventory.md')
    .action(async () => {
      const { inventoryDocs } = await import('./inventory-docs.js')
      inventoryDocs()
    })

  inventory
    .command('reconcile')
    .description('compare the inventory with registries, and repair it; an interrupted run is continued')
    .option('-r, --registry <name>', 'the registry to compare (default: all with a url in the configuration)')
    .option('--apply', 'repair the inventory; without it, the drift is only shown (exit code 2 if there is any)')
    .option(
      '--force',
      'with --apply: repair even if a registry lacks more than half of its tags (manifests, if it had no more than 20 tags), and more than 20',
    )
    .option('--restart', 'start over instead of continuing an interrupted run')
    .option('--rate <number>', 'requests a second (default: 20)')
    .addOption(
      new Option('--blobs <which>', 'blobs to request: doubtful ones, all, or none')
        .choices(['doubtful', 'all', 'none'])
        .default('doubtful'),
    )
    .option('--reread', 'read all manifests again: for platforms and subjects, and to compare sizes and media types')
    .addOption(json())
    .addOption(wide())
    .addHelpText(
      'after',
      examples(
        'tallyman inventory reconcile',
        'tallyman inventory reconcile --registry registry.example.com --apply',
        'tallyman inventory reconcile --apply --rate 5',
      ) +
        '\nA pull-through cache needs "cache: true" under registries in the configuration: only its catalog is read.\n' +
        'Otherwise it would fetch every tag of its upstream.\n',
    )
    .action(async (options: ReconcileCommand) => (await import('./inventory-reconcile.js')).reconcileInventory(options))

  program
    .command('sql')
    .description('run one read-only query on the database')
    .argument('<statement>', 'a select; the tables are in docs/inventory.md')
    .option('--timeout <seconds>', 'end the query after this time', '30')
    .option('--limit <rows>', 'maximum number of rows to print', '1000')
    .addOption(json().conflicts('csv'))
    .option('--csv', 'print CSV (RFC 4180)')
    .addOption(wide())
    .addHelpText(
      'after',
      examples(
        'tallyman sql "select name from regstat.tags order by pushed limit 10"',
        'tallyman sql "select registry, count(*) from inventory.live_tags group by registry" --csv',
      ) +
        '\nWith the embedded stores, stop the service first, or set sql_route: true (TALLYMAN_SQL_ROUTE=true) and restart it.\n',
    )
    .action(async (statement: string, options: SqlOptions) => (await import('./sql.js')).sqlNow(statement, options))
}
