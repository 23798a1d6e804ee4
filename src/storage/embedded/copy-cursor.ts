import type { PGlite } from '@electric-sql/pglite'
import type { PostgresCursor, PostgresCursorConstructor } from 'kysely'
import type { Connection, Submittable } from 'pg'
import { COPY_HEADER, COPY_TRAILER, type ProduceRows } from '../sql/copy-rows.js'

/**
 * The statement of `copyRows` on an embedded database. An embedded database reads a COPY only if all of its rows are there, so each
 * chunk of rows is a COPY of its own.
 */
export const copyCursorOf = (embedded: PGlite): PostgresCursorConstructor =>
  class<T> implements PostgresCursor<T>, Submittable {
    private connection: Connection | undefined

    constructor(
      private readonly text: string,
      private readonly parameters: unknown[],
    ) {}

    submit(connection: Connection): void {
      this.connection = connection
    }

    handleReadyForQuery(): void {
      // pg calls this after `close`.
    }

    handleError(): void {
      // Errors are in the answers to chunks.
    }

    async read(): Promise<T[]> {
      const [produce] = this.parameters as [ProduceRows]
      if (!this.connection) throw new Error('the COPY was not started')
      const query = message('Q', Buffer.from(`${this.text}\0`))
      const end = message('c')
      await produce(async (rows) => {
        const data = message('d', COPY_HEADER, rows, COPY_TRAILER)
        const answer = await embedded.execProtocolStream(Buffer.concat([query, data, end]), { throwOnError: false })
        for (const part of answer) if (part instanceof Error) throw part
      })
      return []
    }

    async close(): Promise<void> {
      // The client sends its next statement.
      this.connection?.emit('readyForQuery')
      return Promise.resolve()
    }
  }

/** A message of PostgreSQL's protocol: its type, its length with the length itself, and its content. */
const message = (type: string, ...content: Uint8Array[]): Buffer => {
  const length = content.reduce((sum, { length: own }) => sum + own, 4)
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(length, 1)
  return Buffer.concat([head, ...content])
}
