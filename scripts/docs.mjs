// npm run docs: writes docs/metrics.md from the definitions, the questions of docs/inventory.md from their statements, the reasons
// of docs/operations.md and the measures of docs/definitions-of-numbers.md from the code. With --check it only says whether these pages are current.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundleService } from './build.mjs'
import { root } from './install.mjs'

const printed = (...command) => {
  const { stdout, status } = spawnSync(process.execPath, ['dist/main.js', ...command, 'docs'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (status !== 0) process.exit(1)
  return stdout
}

const isCheck = process.argv.includes('--check')
const keep = (name, made) => {
  const page = join(root, 'docs', name)
  const before = readFileSync(page, 'utf8')
  const after = made(before)
  if (!isCheck) writeFileSync(page, after)
  else if (before !== after) {
    console.error(`docs/${name} is not current: run "npm run docs" and commit it`)
    process.exitCode = 1
  }
}

/** From this heading to the next of the same level. */
const QUESTIONS = /(?<=\n## The questions\n\n)[^]*?(?=\n## )/
/** From this heading to the next one. */
const REASONS = /(?<=\n### Reasons\n\n)[^]*?(?=\n### )/
/** Measures and dimensions, up to what is told of them by hand. */
const MEASURES = /(?<=\n### Measures\n\n)[^]*?(?=\n### By example)/

await bundleService()
keep('metrics.md', () => printed('metrics'))
keep('inventory.md', (page) => page.replace(QUESTIONS, () => printed('inventory')))
keep('operations.md', (page) => page.replace(REASONS, () => printed('reasons')))
keep('definitions-of-numbers.md', (page) => page.replace(MEASURES, () => printed('pulls')))
