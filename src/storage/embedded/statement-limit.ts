import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Extension, PGlite, PGliteOptions } from '@electric-sql/pglite'
import { WebAssembly, withSharedMemory, type SharedMemory } from './shared-memory.js'

/** The data by which another thread can end a running statement. The thread that runs the statement is blocked. */
export type RunningStatement = {
  /** Counts the beginnings and ends of messages of the protocol: odd while a message is executed. */
  count: Int32Array
  /** The memory of the instance. */
  memory: Int32Array
  /** Indexes in `memory`: a value other than 0 makes PostgreSQL end the statement (`QueryCancelPending`, `InterruptPending`). */
  flags: readonly number[]
}

/** Pages of 64 KiB, the same numbers as in PGlite's own memory. */
const [FIRST_PAGES, MOST_PAGES] = [2_048, 32_768] as const
/** A path in the file system of the instance. */
const LIBRARIES = '/pglite/lib/postgresql'

type Options = {
  pgliteWasmModule: NonNullable<PGliteOptions['pgliteWasmModule']>
  extensions: { sharedMemory: Extension }
}

/** PGlite's module, changed only to use a shared memory. All instances of a process use the same module. */
let sharedModule: Options['pgliteWasmModule'] | undefined
const loadModule = (): Options['pgliteWasmModule'] => {
  const directory = dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite'))
  return new WebAssembly.Module(withSharedMemory(readFileSync(join(directory, 'pglite.wasm')), MOST_PAGES))
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
/** The used functions of the file system of an instance. */
type Files = {
  readdir: (path: string) => string[]
  readFile: (path: string) => Uint8Array
  writeFile: (path: string, content: Uint8Array) => void
}

/** Libraries that PostgreSQL loads on demand, such as PL/pgSQL, must accept the same memory. */
export const shareLibraries = (instance: Module): void => {
  const { FS: files } = instance as unknown as { FS: Files }
  for (const name of files.readdir(LIBRARIES)) {
    if (!name.endsWith('.so')) continue
    const file = `${LIBRARIES}/${name}`
    files.writeFile(file, withSharedMemory(files.readFile(file), MOST_PAGES))
  }
}

/** Indexes of the flags in the memory of a started instance, in words of 32 bits. */
const flagsOf = (instance: Module): number[] => {
  const { _QueryCancelPending: cancel, _InterruptPending: interrupt } = instance as unknown as Record<string, number>
  if (cancel === undefined || interrupt === undefined) throw new Error('PGlite has other flags than expected')
  return [cancel, interrupt].map((address) => address / Int32Array.BYTES_PER_ELEMENT)
}

/** @param instance started with this memory */
export const runningStatementOf = (instance: Module, memory: SharedMemory): RunningStatement => ({
  count: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
  memory: new Int32Array(memory.buffer),
  flags: flagsOf(instance),
})

/**
 * A request to end one message must not end the next one: PGlite's timer of `statement_timeout` may fire between two messages, and
 * would then end the next message, for example a rollback.
 * @returns a function that clears the flags, to be called before each message
 */
export const createClearFlags = (instance: Module): (() => void) => {
  const flags = flagsOf(instance)
  let words = new Int32Array(0)
  return () => {
    // When the memory grows, its buffer is replaced.
    const { buffer } = (instance as unknown as { HEAPU8: Uint8Array<ArrayBuffer> }).HEAPU8
    if (words.buffer !== buffer) words = new Int32Array(buffer)
    for (const flag of flags) words[flag] = 0
  }
}

/** Runs a function that executes one message, and counts its beginning and end. */
export const countedRun = ({ count }: RunningStatement, run: () => void): void => {
  Atomics.add(count, 0, 1)
  try {
    run()
  } finally {
    Atomics.add(count, 0, 1)
  }
}
