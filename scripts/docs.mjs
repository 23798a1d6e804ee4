// npm run docs: writes docs/metrics.md from the definitions. With --check it only says whether the page is current.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bundle } from './build.mjs'
import { root } from './install.mjs'

await bundle(['src/main.ts'], 'dist')
const { stdout, status } = spawnSync(process.execPath, ['dist/main.js', 'metrics', 'docs'], {
  cwd: root,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
})
if (status !== 0) process.exit(1)
const page = join(root, 'docs', 'metrics.md')
if (!process.argv.includes('--check')) writeFileSync(page, stdout)
else if (readFileSync(page, 'utf8') !== stdout) {
  console.error('docs/metrics.md is not current: run "npm run docs" and commit it')
  process.exit(1)
}
