/**
 * An open text file that grows by whole batches.
 *
 * A batch is handed to the operating system by one `write` at a known offset, synchronously: for ordinary files that is
 * several times faster than a trip through the thread pool. A batch that does not fit is removed again, so the file always
 * ends with the last accepted batch. An existing file is not changed before the first batch.
 */
import { Effect } from "effect"
import * as fs from "node:fs"
import type { FirstInFile } from "./ByteOutput.ts"
import { idOf, NameWatch } from "./NameWatch.ts"

export class GrowingFile {
  readonly fd: number
  readonly watch: NameWatch
  /** Samples that were accepted and not forced to disk since. */
  unsynced = 0
  /** Where the last accepted batch ends. */
  end: number
  /** Its size, if no other program writes to it. Null if its size makes no difference, because it is to be overwritten. */
  size: number | null
  private isWritten = false

  constructor(path: string, fd: number, size: number) {
    this.fd = fd
    this.watch = new NameWatch(path, idOf(fd))
    this.end = size
    this.size = size
  }

  /** Writes all the bytes, or throws and writes none. */
  write(bytes: Uint8Array, samples: number): FirstInFile {
    const { end, fd, isWritten } = this
    if (this.size !== null && fs.fstatSync(fd).size !== this.size) {
      throw new Error("another program has written to it; record to a file that no other program writes to")
    }
    if (this.size !== end) this.truncate(end)
    let written = 0
    try {
      while (written < bytes.length) {
        written += fs.writeSync(fd, bytes, written, bytes.length - written, end + written)
      }
    } catch (error) {
      this.truncate(end)
      throw error
    }
    this.end += written
    this.size = this.end
    this.isWritten = true
    this.unsynced += samples
    this.watch.unseen += samples
    return isWritten ? null : { isAppended: end > 0 }
  }

  truncate(end: number): void {
    fs.ftruncateSync(this.fd, end)
    this.end = end
    this.size = end
  }

  /** Forces it to disk. If it fails, the samples that were not forced to disk may be lost: the system reports this only once. */
  readonly sync: Effect.Effect<void, NodeJS.ErrnoException> = Effect.suspend(() => {
    const samples = this.unsynced
    return Effect.callback<void, NodeJS.ErrnoException>((resume) => {
      fs.fdatasync(this.fd, (error) => {
        if (!error) this.unsynced -= samples
        resume(error ? Effect.fail(error) : Effect.void)
      })
    })
  })
}
