import type { Question } from '../inventory/questions/question.js'
import { QUESTIONS_BY_FILE } from '../inventory/questions/questions.js'
import { exampleOf } from './inventory-commands.js'
import { markdownTable } from './terminal/markdown-table.js'
import { write } from './terminal/output.js'

/** Prints the section of each question in docs/inventory.md. */
export const inventoryDocs = (): void => {
  const sections = Object.entries(QUESTIONS_BY_FILE).flatMap(([file, questions]) =>
    questions.map((question) => sectionOf(question, file)),
  )
  write(`${sections.join('\n\n')}\n`)
}

const sectionOf = (question: Question, file: string): string => {
  const columns = Object.keys(question.columns).map((column) => `\`${column}\``)
  return [
    `### ${question.name}`,
    ...definitionOf(question),
    ...parametersOf(question),
    `Columns: ${columns.join(', ')}.${withParameters(question)}${question.fromSummary ? ' From the summary: `as_of` is its time.' : ''}`,
    `\`\`\`sh\n${exampleOf(question)}\n\`\`\``,
    `SQL: [${file}](../src/inventory/questions/${file}).`,
  ].join('\n\n')
}

/** A definition of at most so many sentences is a paragraph; a longer one is a list. */
const LONGEST_PARAGRAPH = 6

const definitionOf = ({ answers, definition }: Question): string[] => {
  const sentences = definition.split(/(?<=[.]) (?=\w)/)
  return sentences.length <= LONGEST_PARAGRAPH
    ? [`${answers} ${definition}`]
    : [answers, sentences.map((sentence) => `- ${sentence}`).join('\n')]
}

const withParameters = ({ columnsWith = {} }: Question): string =>
  Object.entries(columnsWith)
    .map(([key, more]) => ` With \`${key}\` also \`${Object.keys(more).join('`, `')}\`.`)
    .join('')

/** Empty if the question has no parameters. */
const parametersOf = ({ parameters }: Question): string[] => {
  const rows = Object.entries(parameters).map(([key, { help, required }]) => [
    `\`${key}\`${required ? ' (required)' : ''}`,
    help,
  ])
  return rows.length === 0 ? [] : [markdownTable([['Parameter', 'Meaning'], ...rows])]
}
