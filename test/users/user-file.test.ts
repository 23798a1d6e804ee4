import { rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { UserDirectory } from '../../src/users/directory.js'
import { readInThread } from '../../src/users/read-in-thread.js'
import { readUserFile, UserFileError, type UserIds } from '../../src/users/read-user-file.js'
import { openUserFile } from '../../src/users/user-file.js'
import { watchFiles } from '../../src/runtime/watch-files.js'
import { NOW } from '../servers/clock.js'
import { temporaryFolder } from '../servers/process.js'
import { ROOT } from '../servers/service.js'
import { turnsOf } from '../servers/turns.js'

const folder = temporaryFolder('users')
afterAll(() => {
  folder.remove()
})
const file = (name: string, text: string): string => {
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return path
}
const people = (count: number): string => Array.from({ length: count }, (_, i) => `person-${i}: ${i}\n`).join('')

describe('a users file', () => {
  test.each([
    ['users.yml', 'alice: 17\nBob: u-18\n"007": 19\n'],
    ['users.csv', 'alice,17\nBob,u-18\n007,19\n'],
    ['heading.csv', '\ufeffName,ID,mail\r\n"alice","17",a@x\r\nBob , u-18,\r\n007,19\r\n'],
  ])('%s gives ids to names, whatever the case, and none to others', async (name, text) => {
    const path = file(name, text)
    const read = async (): Promise<UserIds> => Promise.resolve(readUserFile(path))
    const directory = await openUserFile(path, { read, watchFiles: () => () => undefined, onProblem: fail })
    const ids = ['ALICE', 'bob', '007', 'carol'].map((person) => directory.idOf(person))
    expect(ids).toEqual(['17', 'u-18', '19', undefined])
  })

  test('takes names and ids as they are written, though YAML reads some as numbers', () => {
    const ids = readUserFile(file('written.yml', '1e5: 0017\n0x1f: 1_0\n007: 1.0\ntrue: 5\n"a\\x62": "0x11"\n'))
    const found = ['1e5', '0x1f', '007', 'true', 'ab', '100000', '31', '7'].map((person) => ids.get(person))
    expect(found).toEqual(['0017', '1_0', '1.0', '5', '0x11', undefined, undefined, undefined])
  })

  test.each([
    ['two-ids.yml', '# ours\nalice: 1\nbob: 1\nALICE: 2\n', /line 4 gives the name of line 2 another id/],
    ['same.yml', 'alice: 1\nalice: 2\n', /line 2 gives the name of line 1 another id/],
    ['two-ids.csv', 'name,id\nalice,1\nAlice,2\n', /row 3 gives the name of row 2 another id/],
    ['list.yml', '- alice\n', /expected a map "name: id"/],
    ['nested.yml', 'bob: 1\nalice: { id: 1 }\n', /line 2 is not "name: id"/],
    ['alias.yml', 'bob: 1\nalice: *alice\n', /line 2 is not "name: id"/],
    ['open.yml', 'bob: 1\nalice: "1\n', /not YAML at line \d/],
    ['short.csv', 'bob,1\nalice\n', /row 2 is not "name,id"/],
    ['open.csv', 'bob,1\nalice,"1\n', /not CSV at line 2/],
    ['quotes.csv', 'alice"x",1\n', /not CSV at line 1/],
  ])('%s is refused, with the file and the position, but without a name', (name, text, message) => {
    const path = file(name, text)
    expect(() => readUserFile(path)).toThrow(UserFileError)
    expect(() => readUserFile(path)).toThrow(message)
    expect(() => readUserFile(path)).toThrow(name)
    expect(() => readUserFile(path)).not.toThrow(/alice/i)
  })

  test('of a hundred thousand people is read to its end', () => {
    expect(readUserFile(file('many.yml', people(100_000))).get('person-99999')).toBe('99999')
  })

  test('a file that is not there is refused', () => {
    expect(() => readUserFile(join(folder.path, 'nowhere.yml'))).toThrow(/cannot be read/)
  })
})

describe('a users file that changes', () => {
  const problems: Error[] = []
  let directory: UserDirectory | undefined
  beforeEach(() => {
    problems.length = 0
    jest.useFakeTimers()
  })
  afterEach(() => {
    directory?.close()
    jest.useRealTimers()
  })
  /** @param read replaces reading in a thread */
  const open = async (path: string, read = async (): Promise<UserIds> => Promise.resolve(readUserFile(path))) => {
    directory = await openUserFile(path, { read, watchFiles, onProblem: (error) => problems.push(error) })
    return directory
  }
  const nextLook = async (): Promise<void> => jest.advanceTimersByTimeAsync(2_000)
  /** Sets the time of change: the clock of a file system may be too coarse to distinguish two writes. */
  const touch = (path: string, seconds: number): void => {
    utimesSync(path, NOW, new Date(NOW.getTime() + seconds * 1_000))
  }
  const write = async (path: string, text: string, seconds: number): Promise<void> => {
    writeFileSync(path, text)
    touch(path, seconds)
    await nextLook()
    await nextLook()
  }

  test('is read again, and stays as it was when it breaks', async () => {
    const path = file('changing.yml', 'alice: 1\n')
    const { idOf } = await open(path)
    await write(path, 'alice: 2\n', 5)
    expect(idOf('alice')).toBe('2')
    await write(path, 'alice: [', 10)
    expect(idOf('alice')).toBe('2')
    expect(problems.map(({ message }) => message)).toEqual([expect.stringMatching(/changing\.yml: not YAML/)])
  })

  test('and is being written is not read until it stays as it is', async () => {
    const path = file('written.yml', 'alice: 1\n')
    const { idOf } = await open(path)
    for (const [seconds, text] of [
      [5, ''],
      [10, 'alice: '],
      [15, 'alice: 2\n'],
    ] as const) {
      writeFileSync(path, text)
      touch(path, seconds)
      await nextLook()
      expect(idOf('alice')).toBe('1')
    }
    await nextLook()
    expect(idOf('alice')).toBe('2')
  })

  test('and cannot be read is reported once, and the previous ids stay', async () => {
    const path = file('circling.yml', 'alice: 1\n')
    const { idOf } = await open(path)
    rmSync(path)
    symlinkSync('circling.yml', path)
    for (let look = 1; look <= 3; look++) await nextLook()
    expect(problems.map(({ message }) => message)).toEqual([expect.stringMatching(/circling\.yml: cannot be read/)])
    expect(idOf('alice')).toBe('1')
  })

  test('while it is read is read once more, one reading after the other', async () => {
    const path = file('slow.yml', 'alice: 1\n')
    let reads = 0
    let endReading: () => void = () => undefined
    const { idOf } = await open(path, async () => {
      const ids = readUserFile(path)
      if (++reads > 1) await new Promise<void>((resolve) => (endReading = resolve))
      return ids
    })
    await write(path, 'alice: 2\n', 5)
    await write(path, 'alice: 3\n', 10)
    expect([reads, idOf('alice')]).toEqual([2, '1'])
    endReading()
    await nextLook()
    expect([reads, idOf('alice')]).toEqual([3, '2'])
    endReading()
    await nextLook()
    expect([reads, idOf('alice')]).toEqual([3, '3'])
  })
})

describe('the thread that reads a users file', () => {
  const THREAD = join(ROOT, 'dist', 'users', 'user-file-thread.js')
  const read = async (path: string, signal = new AbortController().signal): Promise<UserIds> =>
    readInThread(THREAD, path, signal)

  test('takes nothing from the event loop but the time of a portion', async () => {
    const path = file('large.yml', people(50_000))
    const { result, turns } = await turnsOf(async () => read(path))
    expect([result.size, result.get('person-49999')]).toEqual([50_000, '49999'])
    // A turn for each portion of 5,000 names, and many more while the thread parses.
    expect(turns).toBeGreaterThan(100)
  })

  test('reports what is wrong with a file', async () => {
    const reading = read(file('bad.yml', 'bob: 1\nalice: { id: 1 }\n'))
    await expect(reading).rejects.toThrow(UserFileError)
    await expect(reading).rejects.toThrow(/bad\.yml: line 2 is not "name: id"/)
  })

  test('reads an empty file', async () => {
    expect((await read(file('empty.yml', ''))).size).toBe(0)
  })

  test('ends when the service does', async () => {
    const closing = new AbortController()
    const reading = read(file('ending.yml', people(50_000)), closing.signal)
    closing.abort()
    await expect(reading).rejects.toThrow(/was ended/)
  })
})

const fail = (error: Error): void => {
  throw error
}
