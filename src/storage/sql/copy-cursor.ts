import type { PostgresCursor } from 'kysely'
import type { Connection, Submittable } from 'pg'
import { COPY_HEADER, COPY_TRAILER, type ProduceRows } from './copy-rows.js'

/** The messages of a COPY that pg's connection sends, and that its types lack. */
type CopyConnection = Connection & {
  sendCopyFromChunk: (chunk: Uint8Array) => void
  endCopyFrom: () => void
  sendCopyFail: (message: string) => void
}

type Signal = { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void }

const signal = (): Signal => {
  let [resolve, reject]: [Signal['resolve'], Signal['reject']] = [() => undefined, () => undefined]
  const promise = new Promise<void>((resolves, rejects) => {
    ;[resolve, reject] = [resolves, rejects]
  })
  // A caller may await the promise later than it is rejected.
  promise.catch(() => undefined)
  return { promise, resolve, reject }
}

/**
 * The statement of `copyRows` on a connection to PostgreSQL (its manual, "Message Flow", "COPY Operations"). Kysely calls it a cursor;
 * pg calls the handlers.
 */
export class CopyCursor<T> implements PostgresCursor<T>, Submittable {
  /** pg sets this, and expects a call at the end. */
  callback: (error?: unknown) => void = () => undefined
  private readonly started = signal()
  private readonly ended = signal()
  private connection: CopyConnection | undefined

  constructor(
    private readonly text: string,
    private readonly parameters: unknown[],
  ) {}

  async read(): Promise<T[]> {
    await Promise.race([this.started.promise, this.ended.promise])
    const { connection } = this
    const [produce] = this.parameters as [ProduceRows]
    if (!connection) throw new Error('the COPY was not started')
    try {
      connection.sendCopyFromChunk(COPY_HEADER)
      await produce(async (rows) => this.write(connection, rows))
      connection.sendCopyFromChunk(COPY_TRAILER)
    } catch (error) {
      connection.sendCopyFail('the rows could not be read')
      await this.ended.promise.catch(() => undefined)
      throw error
    }
    connection.endCopyFrom()
    await this.ended.promise
    return []
  }

  async close(): Promise<void> {
    return Promise.resolve()
  }

  submit(connection: Connection): void {
    this.connection = connection as CopyConnection
    this.connection.query(this.text)
  }

  handleCopyInResponse(): void {
    this.started.resolve()
  }

  handleCommandComplete(): void {
    // The connection is ready for the next statement after the next message.
  }

  handleReadyForQuery(): void {
    this.callback()
    this.ended.resolve()
  }

  handleError(error: unknown): void {
    this.callback(error)
    this.ended.reject(error)
  }

  /** Waits for a server that reads more slowly than rows are written. */
  private async write({ stream, sendCopyFromChunk }: CopyConnection, rows: Uint8Array): Promise<void> {
    sendCopyFromChunk.call(this.connection, rows)
    if (!stream.writableNeedDrain) return
    const drained = signal()
    stream.once('drain', drained.resolve)
    await Promise.race([drained.promise, this.ended.promise]).finally(() => {
      stream.off('drain', drained.resolve)
    })
  }
}
