/**
 * COPY ... FROM STDIN in one flight: the statements, the bytes and their end are sent without waiting until the server asks for the
 * bytes. A server that refuses the statements ignores what follows them:
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
import type { Submittable } from "pg"

/** What the driver gives a query. `@types/pg` has less. */
interface Connection {
  readonly query: (text: string) => void
  readonly stream: { readonly cork: () => void; readonly uncork: () => void; readonly write: (bytes: Buffer) => void }
  readonly endCopyFrom: () => void
}

/** How a message of bytes begins: its type, and its length without the type. */
const HEADER_BYTES = 5
const COPY_DATA = 0x64

/**
 * For `client.query`. `message` holds statements, one of them the COPY. `done` is called once, without an error when the server has
 * run all of them. Until then the bytes must not change.
 */
export class CopyIn implements Submittable {
  private readonly message: string
  private readonly bytes: Buffer
  private readonly done: (error?: Error) => void

  constructor(message: string, bytes: Buffer, done: (error?: Error) => void) {
    this.message = message
    this.bytes = bytes
    this.done = done
  }

  submit(connection: unknown): void {
    const { bytes, message } = this
    const to = connection as Connection
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt8(COPY_DATA)
    header.writeUInt32BE(bytes.length + 4, 1)
    // They go out together.
    to.stream.cork()
    to.query(message)
    to.stream.write(header)
    to.stream.write(bytes)
    to.endCopyFrom()
    to.stream.uncork()
  }

  handleError(error: Error): void {
    this.done(error)
  }

  handleReadyForQuery(): void {
    this.done()
  }

  // What the driver tells besides. The statements beside the COPY have rows.
  callback(): void {}
  handleCopyInResponse(): void {}
  handleCommandComplete(): void {}
  handleRowDescription(): void {}
  handleDataRow(): void {}
}
