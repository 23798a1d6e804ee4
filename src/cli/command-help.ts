import { Option } from 'commander'

/** What stands below the help of a command. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}

export const json = (): Option => new Option('--json', 'print JSON instead of a table')
