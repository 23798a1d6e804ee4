import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Extension, PGlite, PGliteOptions } from '@electric-sql/pglite'
import { WebAssembly, withSharedMemory, type SharedMemory } from './shared-memory.js'

/** What another thread needs to end a statement that runs: this one does nothing else meanwhile. */
export type RunningStatement = {
  /** Counts beginnings and ends of messages of the protocol: odd while one runs. */
  count: Int32Array
  /** The memory of the instance. */
  memory: Int32Array
  /** Places in it: not zero asks PostgreSQL to end the statement (`QueryCancelPending`, `InterruptPending` of its globals.c). */
  flags: readonly number[]
}

/** Pages of 64 KiB, as PGlite's own memory has them. */
const [FIRST_PAGES, MOST_PAGES] = [2_048, 32_768] as const
/** In the file system of the instance. */
const LIBRARIES = '/pglite/lib/postgresql'

type Options = {
  pgliteWasmModule: NonNullable<PGliteOptions['pgliteWasmModule']>
  extensions: { sharedMemory: Extension }
}

/** PGlite's module as it is, but for a memory that threads share. It is the same for all instances of a process. */
let sharedModule: Options['pgliteWasmModule'] | undefined
const loadModule = (): Options['pgliteWasmModule'] => {
  const folder = dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite'))
  return new WebAssembly.Module(withSharedMemory(readFileSync(join(folder, 'pglite.wasm')), MOST_PAGES))
}

/** Options with which PGlite runs on a memory that other threads can reach. */
export const sharedOptions = (memory: SharedMemory): Options => ({
  pgliteWasmModule: (sharedModule ??= loadModule()),
  extensions: {
    sharedMemory: {
      name: 'shared memory',
      setup: async (_, options: object) => Promise.resolve({ emscriptenOpts: { ...options, wasmMemory: memory } }),
    },
  },
})

export const createSharedMemory = (): SharedMemory =>
  new WebAssembly.Memory({ initial: FIRST_PAGES, maximum: MOST_PAGES, shared: true })

type Module = PGlite['Module']
/** What is used of the file system of an instance. */
type Files = {
  readdir: (path: string) => string[]
  readFile: (path: string) => Uint8Array
  writeFile: (path: string, content: Uint8Array) => void
}

/** Libraries that PostgreSQL loads when they are needed, as that of PL/pgSQL, must take the same memory. */
export const shareLibraries = (instance: Module): void => {
  const { FS: files } = instance as unknown as { FS: Files }
  for (const name of files.readdir(LIBRARIES)) {
    if (!name.endsWith('.so')) continue
    const file = `${LIBRARIES}/${name}`
    files.writeFile(file, withSharedMemory(files.readFile(file), MOST_PAGES))
  }
}

/** Places of the flags in the memory of an instance that has started, in words of 32 bits. */
const flagsOf = (instance: Module): number[] => {
  const { _QueryCancelPending: cancel, _InterruptPending: interrupt } = instance as unknown as Record<string, number>
  if (cancel === undefined || interrupt === undefined) throw new Error('PGlite has other flags than expected')
  return [cancel, interrupt].map((address) => address / Int32Array.BYTES_PER_ELEMENT)
}

/** @param instance one that has started with this memory */
export const runningStatementOf = (instance: Module, memory: SharedMemory): RunningStatement => ({
  count: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
  memory: new Int32Array(memory.buffer),
  flags: flagsOf(instance),
})

/**
 * What was asked of another message ends with it: PGlite's timer of `statement_timeout` may fire between two messages, and would
 * end whatever comes next, also a rollback.
 * @returns what is to be called before each message
 */
export const createClearFlags = (instance: Module): (() => void) => {
  const flags = flagsOf(instance)
  let words = new Int32Array(0)
  return () => {
    // A memory that has grown has another buffer.
    const { buffer } = (instance as unknown as { HEAPU8: Uint8Array<ArrayBuffer> }).HEAPU8
    if (words.buffer !== buffer) words = new Int32Array(buffer)
    for (const flag of flags) words[flag] = 0
  }
}

/** Runs what executes one message. */
export const countedRun = ({ count }: RunningStatement, run: () => void): void => {
  Atomics.add(count, 0, 1)
  try {
    run()
  } finally {
    Atomics.add(count, 0, 1)
  }
}
