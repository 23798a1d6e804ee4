import { Argument, Option, type Command } from 'commander'
import { TABLE_NAMES, type TableName } from '../exports/export-table.js'
import { FORMAT_NAMES } from '../exports/row-writer.js'
import { examples } from './terminal/command-help.js'
import type { ExportOptions } from './export.js'

const ABOUT = `
Tables:
  requests     a row for each request that is stored, from notifications and from files of logs
  invocations  a row for each invocation
  pull-days    the numbers of each day, as tallyman pulls shows them

Days are whole UTC days. A file of each day is DIR/TABLE/day=2026-11-30/part-0.parquet. An export of the same rows gives the same bytes,
and replaces the files of an earlier one: use a directory for each choice of --registry and --group-by.
The unique_… numbers of pull-days are estimates (standard error 0.81 %): numbers of several rows or days must not be added.
In CSV, a text that begins with =, +, - or @ gets an apostrophe, so that no spreadsheet runs it; ndjson and parquet have the exact text.
No file contains an address.
`

/** Adds `export`. */
export const addExportCommand = (program: Command): void => {
  program
    .command('export')
    .summary('write requests, invocations or daily numbers for a warehouse')
    .description('write requests, invocations or the numbers of each day to files for BigQuery, ClickHouse or DuckDB')
    .addArgument(new Argument('<table>', 'what to export').choices(TABLE_NAMES))
    .addOption(new Option('--format <format>', 'the format of the files').choices(FORMAT_NAMES).makeOptionMandatory())
    .requiredOption('--since <day>', 'first UTC day, for example 2026-11-21')
    .option('--until <day>', 'last UTC day (default: yesterday)')
    .option('--registry <registry>', 'only this registry')
    .option('--group-by <names>', 'of pull-days: dimensions beside registry and repository, separated by commas')
    .option('--to <dir>', 'directory for the files (default: standard output; parquet needs a directory)')
    .option('--replace', 'replace existing files also of days of which rows have expired')
    .option('--json', 'print files, rows and bytes as JSON')
    .addHelpText('after', ABOUT.trimEnd())
    .addHelpText(
      'after',
      examples(
        'tallyman export requests --format parquet --since 2026-11-21 --to exports',
        'tallyman export invocations --format ndjson --since 2026-11-29 | gzip > invocations.ndjson.gz',
        'tallyman export pull-days --format csv --since 2026-11-01 --until 2026-11-30 --group-by client,country --to exports',
      ),
    )
    .action(async (table: TableName, options: ExportOptions) =>
      (await import('./export.js')).exportTable(table, options),
    )
}
