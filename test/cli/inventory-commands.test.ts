import { describe, expect, test } from '@jest/globals'
import { Command } from 'commander'
import { addInventoryCommands } from '../../src/cli/inventory-commands.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'

const program = new Command()
addInventoryCommands(program)
const commands = program.commands.find((command) => command.name() === 'inventory')?.commands ?? []
const helpOf = (question: string): string =>
  commands.find((command) => command.name() === question)?.helpInformation() ?? ''

describe('the help of a question', () => {
  test('says what each parameter takes', () => {
    expect(helpOf('deletions')).toMatch(/--since <age> .*--actor <actor> .*--repository <repository> /s)
    expect(helpOf('old-images')).toMatch(/--older-than <age> /)
    expect(helpOf('tags')).toMatch(/--state <live\|deleted\|all> /)
    expect(helpOf('tree')).toMatch(/--reference <reference> /)
  })

  test.each(QUESTIONS)('$name: an age where one is taken, and nowhere else', ({ name, parameters }) => {
    const wanted = Object.entries(parameters).filter(([, { kind }]) => kind === 'age')
    const ageFlags = [...helpOf(name).matchAll(/--(\S+) <age>/g)].map(([, flag = '']) => flag.replaceAll('-', '_'))
    expect(ageFlags).toEqual(wanted.map(([key]) => key))
  })
})
