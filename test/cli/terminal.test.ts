import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { shellEnvironment } from '../servers/process.js'
import { ROOT } from '../servers/service.js'

const MAIN = join(ROOT, 'dist', 'main.js')
const AGENT =
  'docker/20.10.8 go/go1.16.6 git-commit/75249d8 kernel/5.4.0-81-generic-with-a-very-long-suffix-of-a-vendor os/linux arch/amd64'

/** Whether there is the `script` of util-linux, with its options; every Debian has it, and `stty`. */
const hasScript = (): boolean => String(spawnSync('script', ['--version']).stdout).includes('util-linux')

/** Runs a command of the built program on a pseudo terminal of so many columns. */
const onTerminal = (columns: number, ...args: string[]): string[] => {
  const command = [process.execPath, MAIN, ...args].map((arg) => `'${arg}'`).join(' ')
  if (!hasScript())
    throw new Error('script of util-linux is needed: install it (Debian and Ubuntu: apt install bsdutils)')
  const output = execFileSync('script', ['-qec', `stty cols ${columns}; ${command}`, '/dev/null'], {
    encoding: 'utf8',
    env: shellEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return output.trimEnd().split(/\r?\n/)
}

describe('on a terminal', () => {
  test('a table fits the width, and --wide keeps every name whole', () => {
    const fitted = onTerminal(70, 'clients', 'test', AGENT)
    expect(fitted).toHaveLength(2)
    expect(fitted[1]).toMatch(/5\.4\..*….*dor/)
    for (const line of fitted) expect(line.length).toBeLessThanOrEqual(70)
    const wide = onTerminal(70, 'clients', 'test', '--wide', AGENT)
    expect(wide[1]).toContain('5.4.0-81-generic-with-a-very-long-suffix-of-a-vendor')
  })

  test('a row that has no room as a line is printed as a record', () => {
    const lines = onTerminal(40, 'clients', 'test', AGENT)
    expect(lines[0]).toBe('client    docker')
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(40)
  })

  test('the help of pulls fits two screens of 24 lines', () => {
    const lines = onTerminal(80, 'pulls', '--help')
    expect(lines.length).toBeLessThanOrEqual(48)
    expect(lines.filter((line) => line.includes('--repository'))).not.toEqual([])
  })
})
