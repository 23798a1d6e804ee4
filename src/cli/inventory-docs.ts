import type { Question } from '../inventory/questions/question.js'
import { QUESTIONS_BY_FILE } from '../inventory/questions/questions.js'
import { exampleOf } from './inventory-commands.js'

/** Prints what docs/inventory.md has of each question. */
export const inventoryDocs = (): void => {
  const sections = Object.entries(QUESTIONS_BY_FILE).flatMap(([file, questions]) =>
    questions.map((question) => sectionOf(question, file)),
  )
  process.stdout.write(`${sections.join('\n\n')}\n`)
}

const sectionOf = (question: Question, file: string): string => {
  const columns = Object.keys(question.columns).map((column) => `\`${column}\``)
  return [
    `### ${question.name}`,
    `${question.answers} ${question.definition}`,
    ...parametersOf(question),
    `Columns: ${columns.join(', ')}.${question.fromSummary ? ' From the summary: `as_of` says of when.' : ''}`,
    `\`\`\`sh\n${exampleOf(question)}\n\`\`\``,
    `SQL: [${file}](../src/inventory/questions/${file}).`,
  ].join('\n\n')
}

/** A table as wide as Prettier makes it; none where there are no parameters. */
const parametersOf = ({ parameters }: Question): string[] => {
  const rows = Object.entries(parameters).map(([key, { help, required }]) => [
    `\`${key}\`${required ? ' (required)' : ''}`,
    help,
  ])
  if (rows.length === 0) return []
  const table = [['Parameter', 'Meaning'], ...rows]
  const widths = [0, 1].map((column) => Math.max(...table.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const [head = [], ...body] = table
  return [[line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n')]
}
