import { afterAll, describe, expect, test } from '@jest/globals'
import { embeddedFolder } from '../servers/stores.js'
import { tallyman, tallymanOnTerminal } from '../servers/tallyman.js'

const folder = embeddedFolder()
afterAll(() => {
  folder.remove()
})

/** Commands that print JSON or a sentence, and no table. */
const WITHOUT_TABLE = ['counters unique', 'export', 'registries join', 'pulls forget']

/** The commands below one, as its help lists them, and those below these. */
const commandsBelow = async (...path: string[]): Promise<string[][]> => {
  const { out } = await tallyman({}, ...path, '--help')
  const [list = ''] = (out.split('\nCommands:\n')[1] ?? '').split('\n\n')
  const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)(?= )/gm)].map(([, name = '']) => name)
  const commands = names.filter((name) => name !== 'help').map((name) => [...path, name])
  const below = await Promise.all(commands.map(async (command) => commandsBelow(...command)))
  return [...commands, ...below.flat()]
}

describe('--wide', () => {
  test('is an option of every command that prints a table', async () => {
    const commands = await commandsBelow()
    expect(commands.length).toBeGreaterThan(30)
    const without: string[] = []
    for (const command of commands) {
      const { out } = await tallyman({}, ...command, '--help')
      if (/^ {2}--json/m.test(out) && !/^ {2}--wide/m.test(out)) without.push(command.join(' '))
    }
    expect(without.sort()).toEqual([...WITHOUT_TABLE].sort())
  })

  test('prints the names whole that registries join takes', async () => {
    const names = ['eu-central-1', 'us-east-1'].map((region) => `registry.production.${region}.containers.example.com`)
    const environment = {
      TALLYMAN_DATA_DIR: folder.path,
      TALLYMAN_REGISTRIES: JSON.stringify(Object.fromEntries(names.map((name) => [name, []]))),
    }
    const { out } = await tallymanOnTerminal(80, environment, 'registries')
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    const wide = await tallymanOnTerminal(80, environment, 'registries', '--wide')
    for (const name of names) expect(wide.out).toContain(name)
  })
})
