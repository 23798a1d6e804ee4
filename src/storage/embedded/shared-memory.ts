/** The parts of WebAssembly that are used here: the types of Node.js do not declare them. */
type WebAssemblyApi = {
  Memory: new (pages: { initial: number; maximum: number; shared: true }) => SharedMemory
  Module: {
    new (bytes: Uint8Array): object
    imports: (module: object) => object[]
    exports: (module: object) => object[]
  }
}
export const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi }

/** A memory of WebAssembly that other threads can reach. */
export type SharedMemory = { buffer: SharedArrayBuffer }

/** Kinds of imports of a WebAssembly module, and the sections that contain them (WebAssembly core specification, 5.5). */
const IMPORTS = 2
const [FUNCTION, TABLE, MEMORY, GLOBAL, TAG] = [0, 1, 2, 3, 4] as const
/** Flags of the limits of a memory: it has a maximum, and threads may share it. */
const [HAS_MAXIMUM, IS_SHARED] = [1, 2] as const
/** Bytes before the first section: the magic number and the version. */
const HEADER = 8

/**
 * Changes the memory that a module imports to a shared one, which other threads can reach. The code of the module stays the same:
 * it runs on both kinds of memory.
 * @param module a WebAssembly module that imports one memory
 * @param maximum pages of 64 KiB; a shared memory must have a maximum
 * @throws Error if the module imports no memory
 */
export const withSharedMemory = (module: Uint8Array, maximum: number): Uint8Array<ArrayBuffer> => {
  const read = readerOf(module, HEADER)
  while (read.position() < module.length) {
    const start = read.position()
    const section = read.byte()
    const size = read.number()
    const content = read.position()
    if (section !== IMPORTS) {
      read.skip(size)
      continue
    }
    const limits = limitsOfMemory(read)
    const shared = [HAS_MAXIMUM | IS_SHARED, ...encoded(limits.minimum), ...encoded(maximum)]
    const imports = [module.subarray(content, limits.start), shared, module.subarray(limits.end, content + size)]
    return joined([
      module.subarray(0, start),
      [IMPORTS, ...encoded(size - (limits.end - limits.start) + shared.length)],
      ...imports,
      module.subarray(content + size),
    ])
  }
  throw new Error('the WebAssembly module imports no memory')
}

type Reader = { position: () => number; skip: (bytes: number) => void; byte: () => number; number: () => number }

const readerOf = (bytes: Uint8Array, start: number): Reader => {
  let at = start
  const byte = (): number => {
    const value = bytes[at++]
    if (value === undefined) throw new Error('the WebAssembly module ends early')
    return value
  }
  return {
    position: () => at,
    skip: (count) => {
      at += count
    },
    byte,
    /** An unsigned integer in LEB128. */
    number: () => {
      for (let value = 0, shift = 0; ; shift += 7) {
        const next = byte()
        value += (next & 0x7f) * 2 ** shift
        if (next < 0x80) return value
      }
    },
  }
}

type Limits = { start: number; end: number; minimum: number }

const limitsOf = (read: Reader): Limits => {
  const start = read.position()
  const flags = read.byte()
  const minimum = read.number()
  if (flags & HAS_MAXIMUM) read.number()
  return { start, end: read.position(), minimum }
}

/** Reads imports up to the memory. */
const limitsOfMemory = (read: Reader): Limits => {
  for (let left = read.number(); left > 0; left--) {
    // The names of the module and of its field.
    read.skip(read.number())
    read.skip(read.number())
    const kind = read.byte()
    if (kind === MEMORY) return limitsOf(read)
    if (kind === FUNCTION) read.number()
    else if (kind === TABLE) {
      read.byte()
      limitsOf(read)
    } else if (kind === GLOBAL) read.skip(2)
    else if (kind === TAG) {
      read.byte()
      read.number()
    } else throw new Error(`the WebAssembly module has an import of kind ${kind}`)
  }
  throw new Error('the WebAssembly module imports no memory')
}

/** A number in LEB128. */
const encoded = (value: number): number[] => {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return [...bytes, rest]
}

const joined = (parts: readonly (Uint8Array | number[])[]): Uint8Array<ArrayBuffer> => {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
