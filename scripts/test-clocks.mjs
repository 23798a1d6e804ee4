// npm run test:clocks: runs tests as on other days, in other time zones. CONTRIBUTING.md explains it.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './install.mjs'
import { installServers } from './servers.mjs'
import { suitesWithoutServer } from './suites.mjs'

const SECONDS_PER_DAY = 86_400
const seconds = () => Math.floor(Date.now() / 1000)
const firstAfter = (now, times) => times.find((time) => time > now)
const fromThisYear = (moment) => {
  const year = new Date().getUTCFullYear()
  return Array.from({ length: 9 }, (_, i) => new Date(`${year + i}-${moment}Z`)).filter(
    // 29 February becomes 1 March where a year lacks it.
    (date) => date.toISOString().slice(5, 10) === moment.slice(0, 5),
  )
}
const next = (moment) =>
  firstAfter(
    seconds(),
    fromThisYear(moment).map((date) => date.getTime() / 1000),
  )

/** When and where a run takes place: always later than now, so that no shift is ever over. */
const SHIFTS = {
  'forty-days': { at: () => seconds() + 40 * SECONDS_PER_DAY, zone: 'Pacific/Kiritimati' },
  'new-year': { at: () => next('12-31T23:59:00'), zone: 'America/St_Johns' },
  'leap-day': { at: () => next('02-29T12:00:00'), zone: 'Pacific/Kiritimati' },
}
/** Property tests look for faults of logic, which no clock changes. */
const FEW_RUNS = { RUNS: '10' }
const JEST = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
  '--ci',
  '--silent',
]

/** Runs node from a moment on in a time zone. The clock goes on; timers keep to the real one. */
const nodeAt = (at, zone, args) =>
  spawnSync('faketime', ['-m', '-f', `+${at - seconds()}s`, process.execPath, ...args], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1024 ** 3,
    env: { ...FEW_RUNS, ...process.env, TZ: zone, DONT_FAKE_MONOTONIC: '1' },
  })

/** A clock that is not shifted would pass every test and show nothing. */
const expectShifted = (at, zone) => {
  const { stdout, stderr } = nodeAt(at, zone, [
    '-p',
    'Date.now() / 1000 + " " + Intl.DateTimeFormat().resolvedOptions().timeZone',
  ])
  const [found, foundZone] = String(stdout).trim().split(' ')
  if (Math.abs(Number(found) - at) < 60 && foundZone === zone) return
  console.error(`faketime does not shift the clock of Node.js: expected ${at} in ${zone}, found ${stdout}${stderr}`)
  process.exit(1)
}

const run = (name, jestArguments, what) => {
  const { at: atOf, zone } = SHIFTS[name]
  const at = atOf()
  expectShifted(at, zone)
  const began = performance.now()
  const { status, stdout, stderr } = nodeAt(at, zone, [...JEST, ...jestArguments])
  const [passed = 'no test ran'] = /^\d+ passed, .*$/m.exec(stdout) ?? []
  const took = Math.round((performance.now() - began) / 1000)
  console.log(`${name}: ${what} at ${new Date(at * 1000).toISOString()} in ${zone}: ${passed} (${took} s)`)
  if (status !== 0) console.error(stdout + stderr)
  return status === 0
}

const [first, ...others] = process.argv.slice(2)
const wanted = first !== undefined && Object.hasOwn(SHIFTS, first) ? [first] : Object.keys(SHIFTS)
const jestArguments = wanted.length === 1 ? others : process.argv.slice(2)

installServers(['faketime'])
const { pure, embedded } = suitesWithoutServer()
let passed = true
for (const [i, name] of wanted.entries()) {
  if (jestArguments.length > 0) {
    passed = run(name, jestArguments, jestArguments.join(' ')) && passed
    continue
  }
  // The embedded database takes most of the time: of three shifts, each suite on it meets one.
  const shared = wanted.length === 1 ? embedded : embedded.filter((_, place) => place % wanted.length === i)
  const suites = [...pure, ...shared]
  passed = run(name, ['--runTestsByPath', ...suites], `${suites.length} suites`) && passed
}
process.exit(passed ? 0 : 1)
