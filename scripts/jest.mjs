// How Jest is started, whatever the clock.
import { join } from 'node:path'
import { root } from './install.mjs'

/** Arguments of Node.js that run Jest; those of Jest follow. */
export const JEST = [
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  // Suites of the embedded database are over before it pays to optimise its WebAssembly.
  '--liftoff-only',
  // Each suite loads its modules again, and most of them are over before it pays to optimise: code is optimised after fifteen times
  // as many runs as usual. The workers have the cores that threads for garbage collection would take.
  '--interrupt-budget=1000000',
  '--single-threaded-gc',
  '--max-semi-space-size=32',
  join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
]
