import { Option } from 'commander'

/** The examples below the help of a command. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}

/** The option of every command that prints a table. */
export const wide = (): Option => new Option('--wide', 'print names and digests whole, however wide')

export const json = (): Option => new Option('--json', 'print JSON instead of a table')
